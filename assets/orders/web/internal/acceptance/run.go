// Package acceptance uses a running site as a customer would, through its address alone, and reports in TAP.
// It takes its orders back at the end, so that it may run on a site that people work with.
package acceptance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrFailed says that at least one test failed; the TAP lines say which.
var ErrFailed = errors.New("acceptance failed")

const (
	testTimeout   = 30 * time.Second
	retryInterval = time.Second
)

// Options say which site is used, and what is expected of it.
type Options struct {
	URL               string
	Title             string // expected on the page; any where empty
	Version           string // expected of the site
	AdminPasswordFile string // file with the password of the user admin
	Wait              time.Duration
}

// test is one thing that must work. An error is its failure, in words for people.
type test struct {
	name string
	run  func(ctx context.Context, s *session) error
}

// session is what the tests share.
type session struct {
	client   client
	options  Options
	customer string  // marks the orders of this run
	first    created // what the first creation answered

	lock   sync.Mutex
	orders map[int64]struct{} // to take back
}

func (s *session) remember(id int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.orders[id] = struct{}{}
}

func (s *session) forget(id int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.orders, id)
}

// Run performs all tests in order and writes `1..N` and a line for each. Where one fails, the others still run.
func Run(ctx context.Context, options Options, out io.Writer) error {
	password, err := adminPassword(options.AdminPasswordFile)
	if err != nil {
		return err
	}
	s := &session{
		client:   newClient(options.URL, password),
		options:  options,
		customer: "acceptance " + rand.Text(),
		orders:   map[int64]struct{}{},
	}
	defer s.takeBack(ctx, out)
	fmt.Fprintf(out, "1..%d\n", len(tests))
	waitReady(ctx, s, out)
	failed := 0
	for index, each := range tests {
		start := time.Now()
		err := one(ctx, s, each)
		line := fmt.Sprintf("ok %d - %s", index+1, each.name)
		if err != nil {
			failed++
			line = "not " + line
		}
		fmt.Fprintln(out, line)
		if err != nil {
			comment(out, err.Error())
		}
		comment(out, fmt.Sprintf("took %d ms", time.Since(start).Milliseconds()))
	}
	if failed > 0 {
		comment(out, fmt.Sprintf("%d of %d failed", failed, len(tests)))
		return ErrFailed
	}
	return nil
}

func one(ctx context.Context, s *session, each test) error {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	return each.run(ctx, s)
}

// waitReady gives a site that has just been started its time. Whether it became ready is for the tests to find.
func waitReady(ctx context.Context, s *session, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Wait)
	defer cancel()
	tick := time.NewTicker(retryInterval)
	defer tick.Stop()
	cause := errors.New("no answer")
	for {
		answer, err := s.client.do(ctx, http.MethodGet, "/readyz", nil)
		switch {
		case err == nil && answer.status == http.StatusOK:
			return
		case err == nil:
			cause = answer.unexpected(http.StatusOK)
		case ctx.Err() == nil: // a request cut off by the end of the wait tells nothing
			cause = err
		}
		select {
		case <-ctx.Done():
			comment(out, fmt.Sprintf("not ready after %s: %v", s.options.Wait, cause))
			return
		case <-tick.C:
		}
	}
}

// takeBack removes what this run ordered, also when its time is over.
func (s *session) takeBack(ctx context.Context, out io.Writer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), testTimeout)
	defer cancel()
	for id := range s.orders {
		answer, err := s.client.asAdmin(ctx, http.MethodDelete, fmt.Sprintf("/api/orders/%d", id))
		if err == nil && answer.status != http.StatusNoContent {
			err = answer.unexpected(http.StatusNoContent)
		}
		if err != nil {
			comment(out, fmt.Sprintf("order %d of customer %q stays in the book: %v", id, s.customer, err))
		}
	}
}

func adminPassword(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("password of the user admin: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

func comment(out io.Writer, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(out, "# "+line)
	}
}
