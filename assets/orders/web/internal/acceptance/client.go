package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 8 << 20
)

// client speaks to the site. Every request is a connection of its own, so that a Service spreads them over all instances.
type client struct {
	http     *http.Client
	url      string
	password string
}

func newClient(url, password string) client {
	return client{
		http: &http.Client{
			Timeout:   requestTimeout,
			Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil},
		},
		url:      strings.TrimRight(url, "/"),
		password: password,
	}
}

type answer struct {
	request  string
	status   int
	body     []byte
	instance string
	location string
}

func (c client) do(ctx context.Context, method, path string, body []byte) (answer, error) {
	return c.send(ctx, method, path, body, false)
}

var errNoPassword = errors.New("no admin password is given to these tests")

func (c client) asAdmin(ctx context.Context, method, path string) (answer, error) {
	if c.password == "" {
		return answer{}, errNoPassword
	}
	return c.send(ctx, method, path, nil, true)
}

func (c client) send(ctx context.Context, method, path string, body []byte, admin bool) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if admin {
		request.SetBasicAuth("admin", c.password)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err // names method and address already
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer{
		request: method + " " + path, status: response.StatusCode, body: text,
		instance: response.Header.Get("Orders-Instance"), location: response.Header.Get("Location"),
	}, nil
}

// get reads JSON into value and expects success.
func (c client) get(ctx context.Context, path string, value any) (answer, error) {
	got, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return got, err
	}
	return got, got.decode(http.StatusOK, value)
}

func (a answer) decode(status int, value any) error {
	if a.status != status {
		return a.unexpected(status)
	}
	if err := json.Unmarshal(a.body, value); err != nil {
		return fmt.Errorf("%s: the answer is not the expected JSON: %w", a.request, err)
	}
	return nil
}

func (a answer) unexpected(expected int) error {
	text := strings.TrimSpace(string(a.body))
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return fmt.Errorf("%s answered %d, expected %d: %s", a.request, a.status, expected, text)
}
