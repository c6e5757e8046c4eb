package site

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"registry.sealift.example/orders/web/internal/order"
)

//go:embed assets/*
var assets embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"thousands": thousands,
}).ParseFS(assets, "assets/page.html"))

// view is all that the page shows.
type view struct {
	Settings Settings
	List     listAnswer
	Filter   order.Filter
	Form     form
	Notice   string
	Failure  string
	Admin    bool
}

// form is the form for a new order as it was sent, so that nobody types twice.
type form struct {
	Customer, Item, Quantity, Note string
	Problems                       order.Problems
}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	filter, err := readFilter(r.URL.Query())
	if err != nil {
		s.pageFailure(w, http.StatusBadRequest, err.Error())
		return
	}
	view := s.view(form{Quantity: "1"})
	view.Filter = filter
	view.Notice = notice(r.URL.Query())
	s.showList(w, r, http.StatusOK, view)
}

func (s *site) pageCreate(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.pageFailure(w, http.StatusBadRequest, "the form could not be read")
		return
	}
	sent := form{
		Customer: r.PostFormValue("customer"), Item: r.PostFormValue("item"),
		Quantity: r.PostFormValue("quantity"), Note: r.PostFormValue("note"),
	}
	draft, problems := sent.draft()
	if problems != nil {
		sent.Problems = problems
		view := s.view(sent)
		view.Filter.Limit = defaultLimit
		s.showList(w, r, http.StatusUnprocessableEntity, view)
		return
	}
	created, err := s.book.Create(r.Context(), draft)
	if err != nil {
		s.pageError(w, err)
		return
	}
	seeOther(w, r, "taken", created.ID)
}

func (s *site) pageShip(w http.ResponseWriter, r *http.Request) {
	id, err := readID(r)
	if err == nil {
		_, err = s.book.Ship(r.Context(), id)
	}
	if err != nil {
		s.pageError(w, err)
		return
	}
	seeOther(w, r, "shipped", id)
}

func (s *site) pageRemove(w http.ResponseWriter, r *http.Request) {
	id, err := readID(r)
	if err == nil {
		err = s.book.Remove(r.Context(), id)
	}
	if err != nil {
		s.pageError(w, err)
		return
	}
	seeOther(w, r, "removed", id)
}

func (f form) draft() (order.Draft, order.Problems) {
	quantity, err := strconv.Atoi(strings.TrimSpace(f.Quantity))
	draft, problems := order.Draft{Customer: f.Customer, Item: f.Item, Quantity: quantity, Note: f.Note}.Clean()
	if err != nil {
		problems["quantity"] = "must be a whole number" // 0 stands for it, so there is a map already
	}
	return draft, problems
}

// After a change the browser gets a page of its own address, so that reloading it changes nothing.
func seeOther(w http.ResponseWriter, r *http.Request, what string, id int64) {
	http.Redirect(w, r, fmt.Sprintf("/?%s=%d", what, id), http.StatusSeeOther)
}

func notice(query url.Values) string {
	for _, what := range []string{"taken", "shipped", "removed"} {
		if id, err := strconv.ParseInt(query.Get(what), 10, 64); err == nil {
			return fmt.Sprintf("Order %d is %s.", id, what)
		}
	}
	return ""
}

func (s *site) view(sent form) view {
	return view{Settings: s.settings, Form: sent, Admin: s.settings.AdminPasswordFile != ""}
}

func (s *site) showList(w http.ResponseWriter, r *http.Request, status int, view view) {
	list, err := s.list(r, view.Filter)
	if err != nil {
		s.pageError(w, err)
		return
	}
	view.List = list
	s.render(w, status, view)
}

func (s *site) pageError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusServiceUnavailable {
		s.log.Error("order book", "cause", err.Error())
		s.pageFailure(w, status, "The order book cannot be reached just now. Nothing is lost; please try again in a minute.")
		return
	}
	s.pageFailure(w, status, "Sorry, "+err.Error()+".")
}

func (s *site) pageFailure(w http.ResponseWriter, status int, why string) {
	view := s.view(form{})
	view.Failure = why
	s.render(w, status, view)
}

// render completes the page before the first byte leaves, so that a failure cannot cut it in two.
func (s *site) render(w http.ResponseWriter, status int, view view) {
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, view); err != nil {
		s.log.Error("page", "cause", err.Error())
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // a reader who has gone is nobody to tell
}

// link is the address of this page with one part of the filter changed.
func (v view) link(status order.Status, before int64) string {
	query := url.Values{}
	if v.Filter.Search != "" {
		query.Set("q", v.Filter.Search)
	}
	if status != order.AnyStatus {
		query.Set("status", string(status))
	}
	if before > 0 {
		query.Set("before", strconv.FormatInt(before, 10))
	}
	if len(query) == 0 {
		return "/"
	}
	return "/?" + query.Encode()
}

// Tab is one choice of the status filter.
type Tab struct {
	Name    string
	Link    string
	Current bool
}

// Tabs are the choices of the status filter.
func (v view) Tabs() []Tab {
	names := []struct {
		status order.Status
		name   string
	}{{order.AnyStatus, "All"}, {order.Open, "Open"}, {order.Shipped, "Shipped"}}
	tabs := make([]Tab, 0, len(names))
	for _, entry := range names {
		tabs = append(tabs, Tab{Name: entry.name, Link: v.link(entry.status, 0), Current: v.Filter.Status == entry.status})
	}
	return tabs
}

// Older is the address of the next stretch of the list.
func (v view) Older() string { return v.link(v.Filter.Status, v.List.Next) }

// thousands groups digits, for people.
func thousands(value any) string {
	digits := fmt.Sprint(value)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "\u202f" + digits[at:]
	}
	return digits
}

func (s *site) asset(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); name == "style.css" || name == "icon.svg" {
		http.ServeFileFS(w, r, assets, "assets/"+name)
		return
	}
	http.NotFound(w, r)
}

func (s *site) favicon(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/assets/icon.svg", http.StatusMovedPermanently)
}
