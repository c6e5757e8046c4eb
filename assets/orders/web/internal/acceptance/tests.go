package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"registry.sealift.example/orders/web/internal/order"
)

var tests = []test{
	{"the page answers under the site's title", pageAnswers},
	{"the site runs the expected version", versionMatches},
	{"an order can be placed", orderPlaced},
	{"the order reads back as it was placed", orderReadBack},
	{"the list finds the order", listFindsOrder},
	{"bad orders are refused with reasons and not kept", badOrdersRefused},
	{"text of any script survives", unicodeSurvives},
	{"orders placed at the same time are all counted", concurrentOrdersCounted},
	{"new connections to every instance see the same book", newConnectionsAgree},
	{"only the admin ships and removes orders", adminAlone},
}

// created is an order with the address that the site gave it.
type created struct {
	order.Order
	location string
}

type list struct {
	Orders []order.Order `json:"orders"`
	Counts order.Counts  `json:"counts"`
}

func pageAnswers(ctx context.Context, s *session) error {
	got, err := s.client.do(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return got.unexpected(http.StatusOK)
	}
	_, rest, found := strings.Cut(string(got.body), "<title>")
	title, _, closed := strings.Cut(rest, "</title>")
	title = html.UnescapeString(title)
	switch {
	case !found || !closed || title == "":
		return errors.New("the page has no title")
	case s.options.Title != "" && title != s.options.Title:
		return fmt.Errorf("the page's title is %q, expected %q", title, s.options.Title)
	}
	return nil
}

func versionMatches(ctx context.Context, s *session) error {
	var running struct{ Version string }
	if _, err := s.client.get(ctx, "/api/version", &running); err != nil {
		return err
	}
	if running.Version != s.options.Version {
		return fmt.Errorf("the site runs %q, these tests are of %q", running.Version, s.options.Version)
	}
	return nil
}

func orderPlaced(ctx context.Context, s *session) error {
	draft := order.Draft{Customer: s.customer, Item: "Hex bolt M8 × 40", Quantity: 250, Note: "placed by the acceptance tests"}
	placed, err := place(ctx, s, draft)
	if err != nil {
		return err
	}
	if placed.ID < 1 || placed.location != fmt.Sprintf("/api/orders/%d", placed.ID) || !placed.Open() {
		return fmt.Errorf("unexpected number, address or state: %+v at %q", placed.Order, placed.location)
	}
	if placed.Draft != draft {
		return fmt.Errorf("the answer shows %+v, placed was %+v", placed.Draft, draft)
	}
	s.first = placed
	return nil
}

func orderReadBack(ctx context.Context, s *session) error {
	if s.first.ID == 0 {
		return errNothingPlaced
	}
	var read order.Order
	if _, err := s.client.get(ctx, s.first.location, &read); err != nil {
		return err
	}
	return sameOrder(read, s.first.Order)
}

func listFindsOrder(ctx context.Context, s *session) error {
	if s.first.ID == 0 {
		return errNothingPlaced
	}
	var newest list
	if _, err := s.client.get(ctx, "/api/orders?status=open&limit=500", &newest); err != nil {
		return err
	}
	at := slices.IndexFunc(newest.Orders, func(o order.Order) bool { return o.ID == s.first.ID })
	if at < 0 {
		return fmt.Errorf("order %d is not among the %d newest open ones", s.first.ID, len(newest.Orders))
	}
	if err := sameOrder(newest.Orders[at], s.first.Order); err != nil {
		return err
	}
	if newest.Counts.Open < 1 {
		return errors.New("the list counts no open order")
	}
	found, err := search(ctx, s, s.customer)
	if err != nil {
		return err
	}
	if len(found.Orders) != 1 || found.Counts.Matching != 1 || found.Orders[0].ID != s.first.ID {
		return fmt.Errorf("searching the customer finds %+v", found)
	}
	return nil
}

func badOrdersRefused(ctx context.Context, s *session) error {
	before, err := search(ctx, s, s.customer)
	if err != nil {
		return err
	}
	cases := []struct {
		body   string
		status int
		field  string
	}{
		{fmt.Sprintf(`{"customer":%q,"item":"","quantity":1}`, s.customer), http.StatusUnprocessableEntity, "item"},
		{fmt.Sprintf(`{"customer":%q,"item":"x","quantity":0}`, s.customer), http.StatusUnprocessableEntity, "quantity"},
		{fmt.Sprintf(`{"customer":%q,"item":"x","quantity":-5}`, s.customer), http.StatusUnprocessableEntity, "quantity"},
		{fmt.Sprintf(`{"customer":%q,"item":%q,"quantity":1}`, s.customer, strings.Repeat("x", order.MaxItem+1)), http.StatusUnprocessableEntity, "item"},
		{fmt.Sprintf(`{"customer":%q,"item":"x","quantity":1,"price":3}`, s.customer), http.StatusBadRequest, ""},
		{`{"customer":`, http.StatusBadRequest, ""},
	}
	for _, bad := range cases {
		got, err := s.client.do(ctx, http.MethodPost, "/api/orders", []byte(bad.body))
		if err != nil {
			return err
		}
		var refusal struct {
			Error  string
			Fields map[string]string
		}
		if err := got.decode(bad.status, &refusal); err != nil {
			return fmt.Errorf("%.60s: %w", bad.body, err)
		}
		if refusal.Error == "" || (bad.field != "" && refusal.Fields[bad.field] == "") {
			return fmt.Errorf("%.60s: refused without a reason: %s", bad.body, got.body)
		}
	}
	after, err := search(ctx, s, s.customer)
	if err != nil {
		return err
	}
	if after.Counts.Matching != before.Counts.Matching {
		return fmt.Errorf("%d refused orders were kept", after.Counts.Matching-before.Counts.Matching)
	}
	return nil
}

func unicodeSurvives(ctx context.Context, s *session) error {
	draft := order.Draft{
		Customer: s.customer + " 哈尔滨 Čeněk",
		Item:     "Schraube «½″» · болт · 螺栓 · 🔩 <b>&amp;</b> 'x' \\ %_",
		Quantity: 1,
		Note:     "erste Zeile\nвторая строка\nسطر ثالث",
	}
	placed, err := place(ctx, s, draft)
	if err != nil {
		return err
	}
	var read order.Order
	if _, err := s.client.get(ctx, placed.location, &read); err != nil {
		return err
	}
	if read.Draft != draft {
		return fmt.Errorf("read back %+v, placed was %+v", read.Draft, draft)
	}
	page, err := s.client.do(ctx, http.MethodGet, "/?q="+url.QueryEscape(draft.Item), nil)
	if err != nil {
		return err
	}
	if !strings.Contains(html.UnescapeString(string(page.body)), draft.Item) {
		return errors.New("the page does not show the item as it was written")
	}
	if strings.Contains(string(page.body), "<b>") {
		return errors.New("the page takes markup out of an order")
	}
	return nil
}

func concurrentOrdersCounted(ctx context.Context, s *session) error {
	const many = 24
	customer := s.customer + " at once"
	var wait sync.WaitGroup
	var lock sync.Mutex
	var failures []error
	numbers := map[int64]bool{}
	for index := range many {
		wait.Go(func() {
			placed, err := place(ctx, s, order.Draft{Customer: customer, Item: fmt.Sprintf("Crate %d", index), Quantity: index + 1})
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failures = append(failures, err)
				return
			}
			numbers[placed.ID] = true
		})
	}
	wait.Wait()
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d could not be placed, the first: %w", len(failures), many, failures[0])
	}
	if len(numbers) != many {
		return fmt.Errorf("%d orders got %d numbers", many, len(numbers))
	}
	found, err := search(ctx, s, customer)
	if err != nil {
		return err
	}
	sum := 0
	for _, each := range found.Orders {
		sum += each.Quantity
	}
	if found.Counts.Matching != many || len(found.Orders) != many || sum != many*(many+1)/2 {
		return fmt.Errorf("%d orders were placed, %d are counted, %d listed, quantities sum up to %d", many, found.Counts.Matching, len(found.Orders), sum)
	}
	return nil
}

func newConnectionsAgree(ctx context.Context, s *session) error {
	if s.first.ID == 0 {
		return errNothingPlaced
	}
	const readings = 12 // each a connection of its own, spread by the Service
	schemas, instances := map[int]bool{}, map[string]bool{}
	for range readings {
		var ready struct{ Schema int }
		if _, err := s.client.get(ctx, "/readyz", &ready); err != nil {
			return err
		}
		schemas[ready.Schema] = true
		var read order.Order
		got, err := s.client.get(ctx, s.first.location, &read)
		if err != nil {
			return fmt.Errorf("instance %s: %w", got.instance, err)
		}
		if err := sameOrder(read, s.first.Order); err != nil {
			return fmt.Errorf("instance %s: %w", got.instance, err)
		}
		instances[got.instance] = true
	}
	if len(schemas) != 1 || schemas[0] {
		return fmt.Errorf("%d instances name the schemas %v", len(instances), schemas)
	}
	return nil
}

func adminAlone(ctx context.Context, s *session) error {
	if s.first.ID == 0 {
		return errNothingPlaced
	}
	for _, each := range []struct{ method, path string }{
		{http.MethodPost, s.first.location + "/ship"}, {http.MethodDelete, s.first.location},
	} {
		got, err := s.client.do(ctx, each.method, each.path, nil)
		if err != nil {
			return err
		}
		if got.status != http.StatusUnauthorized {
			return fmt.Errorf("without a password: %w", got.unexpected(http.StatusUnauthorized))
		}
	}
	got, err := s.client.asAdmin(ctx, http.MethodPost, s.first.location+"/ship")
	if err != nil {
		return err
	}
	var shipped order.Order
	if err := got.decode(http.StatusOK, &shipped); err != nil {
		return err
	}
	if shipped.Open() {
		return errors.New("the shipped order is still open")
	}
	got, err = s.client.asAdmin(ctx, http.MethodDelete, s.first.location)
	if err != nil {
		return err
	}
	if got.status != http.StatusNoContent {
		return got.unexpected(http.StatusNoContent)
	}
	s.forget(s.first.ID)
	if got, err = s.client.do(ctx, http.MethodGet, s.first.location, nil); err != nil {
		return err
	}
	if got.status != http.StatusNotFound {
		return fmt.Errorf("after its removal: %w", got.unexpected(http.StatusNotFound))
	}
	return nil
}

var errNothingPlaced = errors.New("there is no order to look at: none could be placed")

func place(ctx context.Context, s *session, draft order.Draft) (created, error) {
	body, err := json.Marshal(draft)
	if err != nil {
		return created{}, err
	}
	got, err := s.client.do(ctx, http.MethodPost, "/api/orders", body)
	if err != nil {
		return created{}, err
	}
	placed := created{location: got.location}
	if err := got.decode(http.StatusCreated, &placed.Order); err != nil {
		return created{}, err
	}
	s.remember(placed.ID)
	return placed, nil
}

func search(ctx context.Context, s *session, text string) (list, error) {
	var found list
	_, err := s.client.get(ctx, "/api/orders?limit=500&q="+url.QueryEscape(text), &found)
	return found, err
}

// sameOrder compares what must not change; times as moments, not as texts.
func sameOrder(got, expected order.Order) error {
	moment := func(o order.Order) order.Order {
		o.CreatedAt = o.CreatedAt.UTC().Round(time.Microsecond)
		return o
	}
	if !reflect.DeepEqual(moment(got), moment(expected)) {
		return fmt.Errorf("read %+v, placed was %+v", got, expected)
	}
	return nil
}
