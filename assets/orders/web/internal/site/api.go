package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"registry.sealift.example/orders/web/internal/order"
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

// listAnswer is one stretch of the book; Next is the bound for the following one, 0 at the end.
type listAnswer struct {
	Orders []order.Order `json:"orders"`
	Counts order.Counts  `json:"counts"`
	Next   int64         `json:"next,omitempty"`
}

// failure is the body of every refusal.
type failure struct {
	Error  string         `json:"error"`
	Fields order.Problems `json:"fields,omitempty"`
}

func (s *site) apiList(w http.ResponseWriter, r *http.Request) {
	filter, err := readFilter(r.URL.Query())
	if err != nil {
		writeJSON(w, http.StatusBadRequest, failure{Error: err.Error()})
		return
	}
	answer, err := s.list(r, filter)
	if err != nil {
		s.apiFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// list asks for one order more than wanted to learn whether there is a next stretch.
func (s *site) list(r *http.Request, filter order.Filter) (listAnswer, error) {
	wanted := filter.Limit
	filter.Limit++
	orders, err := s.book.List(r.Context(), filter)
	if err != nil {
		return listAnswer{}, err
	}
	counts, err := s.book.Count(r.Context(), filter)
	if err != nil {
		return listAnswer{}, err
	}
	answer := listAnswer{Orders: orders, Counts: counts}
	if len(orders) > wanted {
		answer.Orders = orders[:wanted]
		answer.Next = orders[wanted-1].ID
	}
	return answer, nil
}

func (s *site) apiCreate(w http.ResponseWriter, r *http.Request) {
	draft, err := readDraft(r)
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		writeJSON(w, status, failure{Error: err.Error()})
		return
	}
	draft, problems := draft.Clean()
	if problems != nil {
		writeJSON(w, http.StatusUnprocessableEntity, failure{Error: "the order is not acceptable", Fields: problems})
		return
	}
	created, err := s.book.Create(r.Context(), draft)
	if err != nil {
		s.apiFailure(w, err)
		return
	}
	w.Header().Set("Location", fmt.Sprintf("/api/orders/%d", created.ID))
	writeJSON(w, http.StatusCreated, created)
}

func (s *site) apiGet(w http.ResponseWriter, r *http.Request) {
	id, err := readID(r)
	if err != nil {
		s.apiFailure(w, err)
		return
	}
	found, err := s.book.Get(r.Context(), id)
	if err != nil {
		s.apiFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, found)
}

func (s *site) apiShip(w http.ResponseWriter, r *http.Request) {
	id, err := readID(r)
	if err != nil {
		s.apiFailure(w, err)
		return
	}
	shipped, err := s.book.Ship(r.Context(), id)
	if err != nil {
		s.apiFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, shipped)
}

func (s *site) apiRemove(w http.ResponseWriter, r *http.Request) {
	id, err := readID(r)
	if err == nil {
		err = s.book.Remove(r.Context(), id)
	}
	if err != nil {
		s.apiFailure(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *site) apiVersion(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{
		"product": "Orders", "version": s.settings.Version, "title": s.settings.Title, "instance": s.settings.Instance,
	})
}

func readFilter(query url.Values) (order.Filter, error) {
	filter := order.Filter{
		Search: strings.TrimSpace(query.Get("q")), Status: order.Status(query.Get("status")), Limit: defaultLimit,
	}
	if !filter.Status.Valid() {
		return filter, fmt.Errorf("status must be open or shipped, not %q", filter.Status)
	}
	if text := query.Get("before"); text != "" {
		before, err := strconv.ParseInt(text, 10, 64)
		if err != nil || before < 1 {
			return filter, fmt.Errorf("before must be an order's number, not %q", text)
		}
		filter.Before = before
	}
	if text := query.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxLimit {
			return filter, fmt.Errorf("limit must be from 1 to %d, not %q", maxLimit, text)
		}
		filter.Limit = limit
	}
	return filter, nil
}

func readDraft(r *http.Request) (order.Draft, error) {
	var draft order.Draft
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return draft, errors.New("the body must be application/json")
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&draft); err != nil {
		return draft, fmt.Errorf("the body is not an order: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return draft, errors.New("the body holds more than one order")
	}
	return draft, nil
}

// readID treats what cannot be a number of an order like a number that no order has.
func readID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, order.ErrNotFound
	}
	return id, nil
}

func (s *site) apiFailure(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusServiceUnavailable {
		s.log.Error("order book", "cause", err.Error())
		writeJSON(w, status, failure{Error: unreachable})
		return
	}
	writeJSON(w, status, failure{Error: err.Error()})
}

// refuse answers in the form that the caller asked in.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		writeJSON(w, status, failure{Error: why})
		return
	}
	s.pageFailure(w, status, why)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The status is out already: a caller who has gone is nobody to tell.
	_ = json.NewEncoder(w).Encode(value)
}
