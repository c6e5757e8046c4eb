// Command cri-list prints, as one JSON object, the images and containers that a CRI runtime knows:
// what `crictl images` and `crictl ps --all` would show, with the pins and digests that the tests compare.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Image is one image of the runtime's store.
type Image struct {
	ID          string   `json:"id"`
	RepoTags    []string `json:"repoTags"`
	RepoDigests []string `json:"repoDigests"`
	Pinned      bool     `json:"pinned"`
	// Size is in bytes, as the runtime counts it.
	Size uint64 `json:"size"`
}

// Container is one container, running or not.
type Container struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Pod       string `json:"pod"`
	Namespace string `json:"namespace"`
	// Image is the reference that the pod asked for; ImageID is what the runtime resolved it to.
	Image    string `json:"image"`
	ImageRef string `json:"imageRef"`
	ImageID  string `json:"imageId"`
	State    string `json:"state"`
}

// Listing is the whole answer.
type Listing struct {
	Images     []Image     `json:"images"`
	Containers []Container `json:"containers"`
}

func main() {
	endpoint := flag.String("endpoint", "/run/containerd/containerd.sock", "socket of the CRI runtime")
	timeout := flag.Duration("timeout", 10*time.Second, "limit for the whole listing")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	listing, err := list(ctx, *endpoint)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(listing)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cri-list: %s: %v\n", *endpoint, err)
		os.Exit(1)
	}
}

func list(ctx context.Context, endpoint string) (*Listing, error) {
	target := endpoint
	if !strings.Contains(target, "://") {
		target = "unix://" + target
	}
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()

	images, err := runtime.NewImageServiceClient(connection).ListImages(ctx, &runtime.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	containers, err := runtime.NewRuntimeServiceClient(connection).ListContainers(ctx, &runtime.ListContainersRequest{})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return describe(images.Images, containers.Containers), nil
}

// describe sorts everything, so that two listings of the same state are equal as text.
func describe(images []*runtime.Image, containers []*runtime.Container) *Listing {
	listing := &Listing{Images: []Image{}, Containers: []Container{}}
	for _, image := range images {
		listing.Images = append(listing.Images, Image{
			ID:          image.Id,
			RepoTags:    sorted(image.RepoTags),
			RepoDigests: sorted(image.RepoDigests),
			Pinned:      image.Pinned,
			Size:        image.Size,
		})
	}
	for _, container := range containers {
		listing.Containers = append(listing.Containers, Container{
			ID:        container.Id,
			Name:      container.GetMetadata().GetName(),
			Pod:       container.Labels["io.kubernetes.pod.name"],
			Namespace: container.Labels["io.kubernetes.pod.namespace"],
			Image:     container.GetImage().GetUserSpecifiedImage(),
			ImageRef:  container.ImageRef,
			ImageID:   container.ImageId,
			State:     strings.ToLower(strings.TrimPrefix(container.State.String(), "CONTAINER_")),
		})
	}
	slices.SortFunc(listing.Images, func(a, b Image) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(listing.Containers, func(a, b Container) int { return cmp.Compare(a.ID, b.ID) })
	return listing
}

// sorted never returns nil: an empty list must print as [] and not as null.
func sorted(values []string) []string {
	return append([]string{}, slices.Sorted(slices.Values(values))...)
}
