package site_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registry.sealift.example/orders/web/internal/memory"
	"registry.sealift.example/orders/web/internal/order"
	"registry.sealift.example/orders/web/internal/site"
)

const password = "correct horse"

func start(t *testing.T, book site.Book) *httptest.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admin-password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site.Handler(site.Settings{
		Title: "Harbin <Plant>", Greeting: "Good morning", Instance: "web-1", Version: "9.9.9", AdminPasswordFile: file,
	}, book, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return server
}

// ask sends a request without following redirects; body is a form where it has no brace.
func ask(t *testing.T, method, address, body string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		request.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(request)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func expectStatus(t *testing.T, response *http.Response, status int) {
	t.Helper()
	if response.StatusCode != status {
		t.Fatalf("%s %s answered %d, expected %d", response.Request.Method, response.Request.URL.Path, response.StatusCode, status)
	}
}

func TestPageShowsTitleOrdersAndNothingFromOutside(t *testing.T) {
	book := &memory.Book{}
	if _, err := book.Create(t.Context(), order.Draft{Customer: "Ada & <Co>", Item: "Bolt", Quantity: 12500}); err != nil {
		t.Fatal(err)
	}
	server := start(t, book)
	response, page := ask(t, http.MethodGet, server.URL, "", nil)
	expectStatus(t, response, http.StatusOK)
	for _, expected := range []string{"<title>Harbin &lt;Plant&gt;</title>", "Good morning", "Ada &amp; &lt;Co&gt;", "12\u202f500", "9.9.9", "web-1"} {
		if !strings.Contains(page, expected) {
			t.Errorf("the page lacks %q", expected)
		}
	}
	if strings.Contains(page, "http://") || strings.Contains(page, "https://") || strings.Contains(page, "<script") {
		t.Error("the page refers to something outside of the site")
	}
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("content policy: %q", policy)
	}
}

func TestEveryAssetOfThePageIsServed(t *testing.T) {
	server := start(t, &memory.Book{})
	for path, kind := range map[string]string{"/assets/style.css": "text/css", "/assets/icon.svg": "image/svg+xml"} {
		response, _ := ask(t, http.MethodGet, server.URL+path, "", nil)
		expectStatus(t, response, http.StatusOK)
		if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, kind) {
			t.Errorf("%s is %q", path, got)
		}
	}
	response, _ := ask(t, http.MethodGet, server.URL+"/assets/page.html", "", nil)
	expectStatus(t, response, http.StatusNotFound)
}

func TestFormTakesAnOrderAndKeepsWhatWasTypedWhenItIsBad(t *testing.T) {
	server := start(t, &memory.Book{})
	good := url.Values{"customer": {"Ada"}, "item": {"Bolt"}, "quantity": {"3"}}
	response, _ := ask(t, http.MethodPost, server.URL+"/orders", good.Encode(), nil)
	expectStatus(t, response, http.StatusSeeOther)
	if to := response.Header.Get("Location"); to != "/?taken=1" {
		t.Fatalf("redirected to %q", to)
	}
	_, page := ask(t, http.MethodGet, server.URL+"/?taken=1", "", nil)
	if !strings.Contains(page, "Order 1 is taken.") {
		t.Error("the page does not say that the order is taken")
	}

	bad := url.Values{"customer": {"Grace"}, "item": {""}, "quantity": {"many"}}
	response, page = ask(t, http.MethodPost, server.URL+"/orders", bad.Encode(), nil)
	expectStatus(t, response, http.StatusUnprocessableEntity)
	for _, expected := range []string{`value="Grace"`, `value="many"`, "must not be empty", "must be a whole number"} {
		if !strings.Contains(page, expected) {
			t.Errorf("the page lacks %q", expected)
		}
	}
}

func TestListPagesThroughTheBook(t *testing.T) {
	book := &memory.Book{}
	for index := range 5 {
		if _, err := book.Create(t.Context(), order.Draft{Customer: "Ada", Item: fmt.Sprint(index), Quantity: 1}); err != nil {
			t.Fatal(err)
		}
	}
	server := start(t, book)
	var seen []int64
	for next := int64(0); ; {
		address := server.URL + "/api/orders?limit=2"
		if next > 0 {
			address += fmt.Sprintf("&before=%d", next)
		}
		response, body := ask(t, http.MethodGet, address, "", nil)
		expectStatus(t, response, http.StatusOK)
		var answer struct {
			Orders []order.Order
			Next   int64
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		for _, each := range answer.Orders {
			seen = append(seen, each.ID)
		}
		if next = answer.Next; next == 0 {
			break
		}
	}
	if fmt.Sprint(seen) != "[5 4 3 2 1]" {
		t.Fatalf("paged through %v", seen)
	}
}

func TestBadQueriesAndBodiesAreRefused(t *testing.T) {
	server := start(t, &memory.Book{})
	for _, query := range []string{"status=lost", "limit=0", "limit=x", "before=-1"} {
		response, _ := ask(t, http.MethodGet, server.URL+"/api/orders?"+query, "", nil)
		expectStatus(t, response, http.StatusBadRequest)
	}
	response, _ := ask(t, http.MethodPost, server.URL+"/api/orders", `{} {}`, nil)
	expectStatus(t, response, http.StatusBadRequest)
	response, _ = ask(t, http.MethodPost, server.URL+"/api/orders", `{"note":"`+strings.Repeat("x", 70<<10)+`"}`, nil)
	expectStatus(t, response, http.StatusRequestEntityTooLarge)
	response, _ = ask(t, http.MethodGet, server.URL+"/api/orders/none", "", nil)
	expectStatus(t, response, http.StatusNotFound)
}

func TestOnlyTheAdminShipsAndNotTwice(t *testing.T) {
	book := &memory.Book{}
	if _, err := book.Create(t.Context(), order.Draft{Customer: "Ada", Item: "Bolt", Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	server := start(t, book)
	ship := server.URL + "/api/orders/1/ship"
	signIn := func(user, word string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, word) }
	}
	for _, change := range []func(*http.Request){nil, signIn("admin", "wrong"), signIn("root", password)} {
		response, _ := ask(t, http.MethodPost, ship, "", change)
		expectStatus(t, response, http.StatusUnauthorized)
	}
	response, _ := ask(t, http.MethodPost, ship, "", signIn("admin", password))
	expectStatus(t, response, http.StatusOK)
	response, _ = ask(t, http.MethodPost, ship, "", signIn("admin", password))
	expectStatus(t, response, http.StatusConflict)
}

func TestAnotherSitesPageCannotSendOrders(t *testing.T) {
	server := start(t, &memory.Book{})
	form := url.Values{"customer": {"Ada"}, "item": {"Bolt"}, "quantity": {"3"}}
	response, _ := ask(t, http.MethodPost, server.URL+"/orders", form.Encode(), func(r *http.Request) {
		r.Header.Set("Origin", "http://evil.example")
	})
	expectStatus(t, response, http.StatusForbidden)
}

func TestMissingMigrationIsToldByReadiness(t *testing.T) {
	server := start(t, &memory.Book{Failure: fmt.Errorf("schema 0 of 2: %w", order.ErrSchema)})
	response, body := ask(t, http.MethodGet, server.URL+"/readyz", "", nil)
	expectStatus(t, response, http.StatusServiceUnavailable)
	if !strings.Contains(body, "migrate has not run yet") {
		t.Errorf("readiness does not tell why: %s", body)
	}
}

func TestLostDatabaseIsToldPlainlyAndWithoutDetails(t *testing.T) {
	server := start(t, &memory.Book{Failure: errors.New("dial tcp 10.0.0.9:5432: refused")})
	for path, status := range map[string]int{"/": 503, "/api/orders": 503, "/api/orders/1": 503, "/readyz": 503, "/healthz": 200} {
		response, body := ask(t, http.MethodGet, server.URL+path, "", nil)
		expectStatus(t, response, status)
		if strings.Contains(body, "10.0.0.9") {
			t.Errorf("%s tells callers where the database is", path)
		}
	}
}
