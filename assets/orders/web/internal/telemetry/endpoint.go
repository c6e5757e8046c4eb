// Package telemetry sends logs and measurements to services that the site runs itself: logs as Loki
// takes them, measurements as Prometheus takes them (remote write). What cannot be sent is dropped
// and counted: the order book matters more.
package telemetry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	sendTimeout = 5 * time.Second
	maxAnswer   = 4 << 10
)

// Endpoint is a place that takes data by HTTP.
type Endpoint struct {
	URL          string
	User         string
	PasswordFile string
	client       *http.Client
}

// FromEnvironment reads PREFIX_URL, PREFIX_USER, PREFIX_PASSWORD_FILE and PREFIX_CA_FILE; nil where
// there is no URL.
func FromEnvironment(prefix string) (*Endpoint, error) {
	endpoint := &Endpoint{
		URL: os.Getenv(prefix + "_URL"), User: os.Getenv(prefix + "_USER"), PasswordFile: os.Getenv(prefix + "_PASSWORD_FILE"),
	}
	if endpoint.URL == "" {
		return nil, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if path := os.Getenv(prefix + "_CA_FILE"); path != "" {
		authority, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("authority of %s_URL: %w", prefix, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(authority) {
			return nil, fmt.Errorf("authority of %s_URL: %s holds no certificate", prefix, path)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	endpoint.client = &http.Client{Transport: transport, Timeout: sendTimeout}
	return endpoint, nil
}

// post sends a body; any answer but 2xx is an error.
func (e *Endpoint) post(ctx context.Context, header map[string]string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	if e.User != "" {
		// Read each time, so that a changed password needs no restart.
		password, err := os.ReadFile(e.PasswordFile)
		if err != nil {
			return fmt.Errorf("password: %w", err)
		}
		request.SetBasicAuth(e.User, strings.TrimRight(string(password), "\r\n"))
	}
	response, err := e.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("status %d: %s", response.StatusCode, strings.TrimSpace(string(said)))
	}
	return nil
}
