// Package order says what an order is and when one is acceptable. It knows no database and no HTTP.
package order

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of an order's fields; lengths are in characters.
const (
	MaxCustomer = 120
	MaxItem     = 200
	MaxNote     = 1000
	MaxQuantity = 1_000_000
)

// ErrNotFound says that there is no order of that number.
var ErrNotFound = errors.New("there is no such order")

// ErrShipped says that the order has left already.
var ErrShipped = errors.New("the order is shipped already")

// ErrSchema says that the book's database is older than this program.
var ErrSchema = errors.New("migrate has not run yet")

// Draft is an order as somebody hands it in.
type Draft struct {
	Customer string `json:"customer"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Note     string `json:"note"`
}

// Order is an order in the book.
type Order struct {
	ID int64 `json:"id"`
	Draft
	CreatedAt time.Time  `json:"createdAt"`
	ShippedAt *time.Time `json:"shippedAt"`
}

// Open tells whether the order still has to be shipped.
func (o Order) Open() bool { return o.ShippedAt == nil }

// Problems maps a field's name to what is wrong with it, in words for people.
type Problems map[string]string

// Filter selects orders of the book, newest first.
type Filter struct {
	Search string // part of customer or item, any case; all where empty
	Status Status // AnyStatus for all
	Before int64  // only orders of a smaller number; no bound where 0
	Limit  int    // at most so many
}

// Status is how far an order is.
type Status string

// The states an order can be in, and the wildcard of filters.
const (
	AnyStatus Status = ""
	Open      Status = "open"
	Shipped   Status = "shipped"
)

// Valid tells whether a filter may name this status.
func (s Status) Valid() bool { return s == AnyStatus || s == Open || s == Shipped }

// Counts are the sums shown above the list.
type Counts struct {
	Matching int64 `json:"matching"` // by the filter, regardless of Before and Limit
	Open     int64 `json:"open"`
	Shipped  int64 `json:"shipped"`
}

// Clean trims the draft and reports everything that is wrong with it at once; nil where it is acceptable.
func (d Draft) Clean() (Draft, Problems) {
	problems := Problems{}
	d.Customer = text(problems, "customer", d.Customer, MaxCustomer, required)
	d.Item = text(problems, "item", d.Item, MaxItem, required)
	d.Note = text(problems, "note", d.Note, MaxNote, optional)
	switch {
	case d.Quantity < 1:
		problems["quantity"] = "must be at least 1"
	case d.Quantity > MaxQuantity:
		problems["quantity"] = "must be at most 1000000"
	}
	if len(problems) == 0 {
		return d, nil
	}
	return d, problems
}

type need bool

const (
	required need = true
	optional need = false
)

func text(problems Problems, field, value string, limit int, presence need) string {
	value = strings.TrimSpace(value)
	switch {
	case presence == required && value == "":
		problems[field] = "must not be empty"
	case !utf8.ValidString(value):
		problems[field] = "must be UTF-8 text"
	case utf8.RuneCountInString(value) > limit:
		problems[field] = "is too long"
	case strings.ContainsFunc(value, forbidden):
		problems[field] = "must not hold control characters"
	}
	return value
}

// Line breaks are welcome in notes; other control characters break lists, logs and the database (NUL).
func forbidden(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
}
