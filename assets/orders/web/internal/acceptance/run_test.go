package acceptance_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"registry.sealift.example/orders/web/internal/acceptance"
	"registry.sealift.example/orders/web/internal/memory"
	"registry.sealift.example/orders/web/internal/order"
	"registry.sealift.example/orders/web/internal/site"
)

func passwordFile(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func handler(book site.Book, password string) http.Handler {
	settings := site.Settings{Title: "Harbin", Version: "1.0.0", Instance: "a", AdminPasswordFile: password}
	return site.Handler(settings, book, slog.New(slog.DiscardHandler))
}

func run(t *testing.T, handler http.Handler, options acceptance.Options) (string, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	options.URL, options.Wait = server.URL, time.Second
	var out strings.Builder
	err := acceptance.Run(t.Context(), options, &out)
	return out.String(), err
}

func TestGoodSitePassesAndKeepsNoOrderOfTheTests(t *testing.T) {
	book, password := &memory.Book{}, passwordFile(t, "secret")
	out, err := run(t, handler(book, password), acceptance.Options{Title: "Harbin", Version: "1.0.0", AdminPasswordFile: password})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.HasPrefix(out, "1..10\n") || strings.Count(out, "\nok ") != 10 {
		t.Fatalf("not ten passes:\n%s", out)
	}
	left, err := book.List(t.Context(), order.Filter{Limit: 100})
	if err != nil || len(left) != 0 {
		t.Fatalf("left in the book: %v (%v)", left, err)
	}
}

func TestEachFaultFailsItsTestAlone(t *testing.T) {
	password := passwordFile(t, "secret")
	good := acceptance.Options{Title: "Harbin", Version: "1.0.0", AdminPasswordFile: password}
	wrongVersion, wrongTitle, wrongPassword := good, good, good
	wrongVersion.Version = "2.0.0"
	wrongTitle.Title = "Elsewhere"
	wrongPassword.AdminPasswordFile = passwordFile(t, "other")
	cases := map[string]acceptance.Options{
		"not ok 1 - the page answers": wrongTitle,
		"not ok 2 - the site runs":    wrongVersion,
		"not ok 10 - only the admin":  wrongPassword,
	}
	for expected, options := range cases {
		out, err := run(t, handler(&memory.Book{}, password), options)
		if !errors.Is(err, acceptance.ErrFailed) || !strings.Contains(out, expected) || strings.Count(out, "\nnot ok ") != 1 {
			t.Errorf("expected only %q, got %v:\n%s", expected, err, out)
		}
	}
}

func TestLostDatabaseFailsWithItsCause(t *testing.T) {
	password := passwordFile(t, "secret")
	book := &memory.Book{Failure: errors.New("no route to the database")}
	out, err := run(t, handler(book, password), acceptance.Options{Version: "1.0.0", AdminPasswordFile: password})
	if !errors.Is(err, acceptance.ErrFailed) || !strings.Contains(out, "# not ready after") || !strings.Contains(out, "the order book cannot be reached") || !strings.Contains(out, "ok 2 - ") {
		t.Fatalf("%v:\n%s", err, out)
	}
}
