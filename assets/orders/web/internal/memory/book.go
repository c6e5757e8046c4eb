// Package memory keeps an order book in memory, by the same rules as the database: for tests.
package memory

import (
	"context"
	"strings"
	"sync"
	"time"

	"registry.sealift.example/orders/web/internal/order"
)

// Book is an order book in memory. Failure, where set, is what every call answers.
type Book struct {
	Failure error

	lock   sync.Mutex
	last   int64
	orders []order.Order // oldest first
}

// Create puts an order into the book.
func (b *Book) Create(_ context.Context, draft order.Draft) (order.Order, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.Failure != nil {
		return order.Order{}, b.Failure
	}
	b.last++
	created := order.Order{ID: b.last, Draft: draft, CreatedAt: time.Now().UTC().Round(time.Microsecond)}
	b.orders = append(b.orders, created)
	return created, nil
}

// Get reads one order.
func (b *Book) Get(_ context.Context, id int64) (order.Order, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	at, err := b.find(id)
	if err != nil {
		return order.Order{}, err
	}
	return b.orders[at], nil
}

// Ship marks an order as shipped.
func (b *Book) Ship(_ context.Context, id int64) (order.Order, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	at, err := b.find(id)
	if err != nil {
		return order.Order{}, err
	}
	if !b.orders[at].Open() {
		return order.Order{}, order.ErrShipped
	}
	now := time.Now().UTC()
	b.orders[at].ShippedAt = &now
	return b.orders[at], nil
}

// Remove takes an order out of the book.
func (b *Book) Remove(_ context.Context, id int64) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	at, err := b.find(id)
	if err != nil {
		return err
	}
	b.orders = append(b.orders[:at], b.orders[at+1:]...)
	return nil
}

// List reads orders, newest first.
func (b *Book) List(_ context.Context, filter order.Filter) ([]order.Order, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.Failure != nil {
		return nil, b.Failure
	}
	found := []order.Order{}
	for at := len(b.orders) - 1; at >= 0 && len(found) < filter.Limit; at-- {
		if each := b.orders[at]; selects(filter, each) && (filter.Before == 0 || each.ID < filter.Before) {
			found = append(found, each)
		}
	}
	return found, nil
}

// Count counts the whole book and what a filter selects of it.
func (b *Book) Count(_ context.Context, filter order.Filter) (order.Counts, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.Failure != nil {
		return order.Counts{}, b.Failure
	}
	var counts order.Counts
	for _, each := range b.orders {
		if selects(filter, each) {
			counts.Matching++
		}
		if each.Open() {
			counts.Open++
		} else {
			counts.Shipped++
		}
	}
	return counts, nil
}

// Ready reports schema 1.
func (b *Book) Ready(context.Context) (int, error) {
	if b.Failure != nil {
		return 0, b.Failure
	}
	return 1, nil
}

func (b *Book) find(id int64) (int, error) {
	if b.Failure != nil {
		return 0, b.Failure
	}
	for at, each := range b.orders {
		if each.ID == id {
			return at, nil
		}
	}
	return 0, order.ErrNotFound
}

func selects(filter order.Filter, each order.Order) bool {
	text := strings.ToLower(each.Customer + "\x00" + each.Item)
	return strings.Contains(text, strings.ToLower(filter.Search)) &&
		(filter.Status == order.AnyStatus || (filter.Status == order.Open) == each.Open())
}
