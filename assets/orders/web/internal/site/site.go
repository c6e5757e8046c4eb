// Package site answers people (one HTML page) and programs (a JSON API) over the order book.
// It knows the book as an interface and no SQL.
package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"registry.sealift.example/orders/web/internal/order"
)

// Book is the order book as this package needs it.
type Book interface {
	Create(ctx context.Context, draft order.Draft) (order.Order, error)
	Get(ctx context.Context, id int64) (order.Order, error)
	List(ctx context.Context, filter order.Filter) ([]order.Order, error)
	Count(ctx context.Context, filter order.Filter) (order.Counts, error)
	Ship(ctx context.Context, id int64) (order.Order, error)
	Remove(ctx context.Context, id int64) error
	// Ready reports the schema's version, or why orders cannot be kept now.
	Ready(ctx context.Context) (int, error)
}

// Settings are a site's answers and this instance's place.
type Settings struct {
	Listen            string
	Title             string
	Greeting          string
	Instance          string
	Version           string
	AdminPasswordFile string // nobody ships or removes orders where empty
	// Observe is told of every answer but those to probes; may be nil.
	Observe func(status int, took time.Duration)
}

// FromEnvironment reads the settings that the usage text names.
func FromEnvironment(version string) Settings {
	host, _ := os.Hostname() // only a label; an empty one does no harm
	return Settings{
		Listen:            environment("ORDERS_LISTEN", ":8080"),
		Title:             environment("ORDERS_SITE_TITLE", "Orders"),
		Greeting:          os.Getenv("ORDERS_GREETING"),
		Instance:          environment("ORDERS_INSTANCE", host),
		Version:           version,
		AdminPasswordFile: os.Getenv("ORDERS_ADMIN_PASSWORD_FILE"),
	}
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

const (
	requestTimeout  = 10 * time.Second
	shutdownTimeout = 15 * time.Second
	maxBody         = 64 << 10
)

type site struct {
	settings Settings
	book     Book
	log      *slog.Logger
}

// Handler answers every request of the site.
func Handler(settings Settings, book Book, log *slog.Logger) http.Handler {
	s := &site{settings: settings, book: book, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("POST /orders", s.pageCreate)
	mux.HandleFunc("POST /orders/{id}/ship", s.admin(s.pageShip))
	mux.HandleFunc("POST /orders/{id}/remove", s.admin(s.pageRemove))
	mux.HandleFunc("GET /assets/{name}", s.asset)
	mux.HandleFunc("GET /favicon.ico", s.favicon)

	mux.HandleFunc("GET /api/orders", s.apiList)
	mux.HandleFunc("POST /api/orders", s.apiCreate)
	mux.HandleFunc("GET /api/orders/{id}", s.apiGet)
	mux.HandleFunc("DELETE /api/orders/{id}", s.admin(s.apiRemove))
	mux.HandleFunc("POST /api/orders/{id}/ship", s.admin(s.apiShip))
	mux.HandleFunc("GET /api/version", s.apiVersion)

	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)

	// A page of another site must not send orders in the name of whoever is signed in here.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return s.around(guarded)
}

// Serve answers until the context ends, then lets running requests finish.
func Serve(ctx context.Context, settings Settings, book Book, log *slog.Logger) error {
	listener, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", settings.Listen, err)
	}
	server := &http.Server{
		Handler:           Handler(settings, book, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	log.Info("orders serves", "version", settings.Version, "address", listener.Addr().String(), "instance", settings.Instance)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("orders stops: running requests may finish")
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

// around gives every request its limits, headers and log line.
func (s *site) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		header := w.Header()
		header.Set("Orders-Instance", s.settings.Instance)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		answer := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			return // probes would drown everything else
		}
		took := time.Since(start)
		if s.settings.Observe != nil {
			s.settings.Observe(answer.status, took)
		}
		s.log.Info("request", "method", r.Method, "path", r.URL.Path, "status", answer.status,
			"milliseconds", took.Milliseconds())
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (s *site) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

func (s *site) readyz(w http.ResponseWriter, r *http.Request) {
	schema, err := s.book.Ready(r.Context())
	if err != nil {
		s.log.Warn("not ready", "cause", err.Error())
		cause := unreachable
		if errors.Is(err, order.ErrSchema) {
			cause = err.Error()
		}
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "cause": cause, "schema": schema})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"status": "ready", "schema": schema, "version": s.settings.Version})
}

// The true cause may name hosts and users: it is for the log, not for callers.
const unreachable = "the order book cannot be reached just now"

// statusOf maps what the book says to HTTP.
func statusOf(err error) int {
	switch {
	case errors.Is(err, order.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, order.ErrShipped):
		return http.StatusConflict
	default:
		return http.StatusServiceUnavailable
	}
}
