// Command oci-list prints, as one JSON object, what the ORAS library finds in a tar archive of an OCI image layout: every
// tagged entry, and those that are asked for by digest, with media types and with how many blobs are reached from it.
// Each blob on the way is read and compared with its digest.
package main

import (
	"cmp"
	"context"
	// Digests are checked only with what the program registers.
	_ "crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"
)

// Entry is one tagged entry of the layout's index.
type Entry struct {
	Tag          string `json:"tag"`
	Digest       string `json:"digest"`
	MediaType    string `json:"mediaType"`
	ArtifactType string `json:"artifactType,omitempty"`
	// Blobs are those below the entry, itself counted, and those that the archive has.
	Blobs int `json:"blobs"`
	// Bytes are those of these blobs.
	Bytes int64 `json:"bytes"`
	// Absent are manifests of platforms that the archive does not hold.
	Absent int `json:"absent"`
}

func main() {
	flag.Parse()
	if flag.NArg() < 1 {
		fmt.Fprintln(os.Stderr, "usage: oci-list ARCHIVE [DIGEST...]")
		os.Exit(2)
	}
	entries, err := list(context.Background(), flag.Arg(0), flag.Args()[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(map[string][]Entry{"entries": entries})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "oci-list: %s: %v\n", flag.Arg(0), err)
		os.Exit(1)
	}
}

func list(ctx context.Context, path string, tags []string) ([]Entry, error) {
	store, err := oci.NewFromTar(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := store.Tags(ctx, "", func(more []string) error { tags = append(tags, more...); return nil }); err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	entries := []Entry{}
	for _, tag := range tags {
		root, err := store.Resolve(ctx, tag)
		if err != nil {
			return nil, fmt.Errorf("resolve %s: %w", tag, err)
		}
		entry := Entry{Tag: tag, Digest: root.Digest.String(), MediaType: root.MediaType, ArtifactType: root.ArtifactType}
		if err := walk(ctx, store, root, &entry, map[string]bool{}); err != nil {
			return nil, fmt.Errorf("%s: %w", tag, err)
		}
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Tag, b.Tag) })
	return entries, nil
}

// walk reads a blob and everything below it. A manifest of another platform may be absent, nothing else may.
func walk(ctx context.Context, store *oci.ReadOnlyStore, node ocispec.Descriptor, entry *Entry, seen map[string]bool) error {
	if seen[node.Digest.String()] {
		return nil
	}
	seen[node.Digest.String()] = true
	exists, err := store.Exists(ctx, node)
	if err != nil {
		return fmt.Errorf("look for %s: %w", node.Digest, err)
	}
	if !exists && node.Platform != nil {
		entry.Absent++
		return nil
	}
	if !exists {
		return fmt.Errorf("%s: %w", node.Digest, errdef.ErrNotFound)
	}
	// FetchAll compares size and digest.
	if _, err := content.FetchAll(ctx, store, node); err != nil {
		return fmt.Errorf("read %s: %w", node.Digest, err)
	}
	entry.Blobs++
	entry.Bytes += node.Size
	below, err := content.Successors(ctx, store, node)
	if err != nil {
		return fmt.Errorf("look below %s: %w", node.Digest, err)
	}
	for _, next := range below {
		if err := walk(ctx, store, next, entry, seen); err != nil {
			return err
		}
	}
	return nil
}
