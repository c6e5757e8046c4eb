package database

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"registry.sealift.example/orders/web/internal/order"
)

// Store is the order book.
type Store struct {
	pool *pgxpool.Pool
}

// NewStore makes a store over an open pool.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

const columns = "id, customer, item, quantity, note, created_at, shipped_at"

// Create puts an order into the book. The draft must be clean.
func (s *Store) Create(ctx context.Context, draft order.Draft) (order.Order, error) {
	const statement = "insert into orders (customer, item, quantity, note) values ($1, $2, $3, $4) returning " + columns
	return s.one(ctx, "create order", statement, draft.Customer, draft.Item, draft.Quantity, draft.Note)
}

// Get reads one order; order.ErrNotFound where there is none.
func (s *Store) Get(ctx context.Context, id int64) (order.Order, error) {
	return s.one(ctx, "read order", "select "+columns+" from orders where id = $1", id)
}

// Ship marks an order as shipped; order.ErrNotFound or order.ErrShipped where that cannot be.
func (s *Store) Ship(ctx context.Context, id int64) (order.Order, error) {
	const statement = "update orders set shipped_at = now() where id = $1 and shipped_at is null returning " + columns
	shipped, err := s.one(ctx, "ship order", statement, id)
	if !errors.Is(err, order.ErrNotFound) {
		return shipped, err
	}
	if _, err := s.Get(ctx, id); err != nil {
		return order.Order{}, err
	}
	return order.Order{}, order.ErrShipped
}

// Remove takes an order out of the book; order.ErrNotFound where there is none.
func (s *Store) Remove(ctx context.Context, id int64) error {
	done, err := s.pool.Exec(ctx, "delete from orders where id = $1", id)
	if err != nil {
		return fmt.Errorf("remove order: %w", err)
	}
	if done.RowsAffected() == 0 {
		return order.ErrNotFound
	}
	return nil
}

const matching = `($1 = '' or customer ilike $2 or item ilike $2)
	and ($3 = '' or ($3 = 'open') = (shipped_at is null))`

// List reads orders, newest first.
func (s *Store) List(ctx context.Context, filter order.Filter) ([]order.Order, error) {
	const statement = "select " + columns + " from orders where " + matching +
		" and ($4::bigint = 0 or id < $4) order by id desc limit $5"
	rows, err := s.pool.Query(ctx, statement, filter.Search, pattern(filter.Search), string(filter.Status), filter.Before, filter.Limit)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return orders, nil
}

// Count counts the whole book and what a filter selects of it.
func (s *Store) Count(ctx context.Context, filter order.Filter) (order.Counts, error) {
	const statement = `select count(*) filter (where ` + matching + `),
		count(*) filter (where shipped_at is null), count(*) filter (where shipped_at is not null) from orders`
	var counts order.Counts
	err := s.pool.QueryRow(ctx, statement, filter.Search, pattern(filter.Search), string(filter.Status)).
		Scan(&counts.Matching, &counts.Open, &counts.Shipped)
	if err != nil {
		return order.Counts{}, fmt.Errorf("count orders: %w", err)
	}
	return counts, nil
}

// Ready reports the schema's version, or why this program cannot work with the database now.
func (s *Store) Ready(ctx context.Context) (int, error) {
	steps, err := Migrations()
	if err != nil {
		return 0, err
	}
	var schema int
	err = s.pool.QueryRow(ctx, "select coalesce(max(version), 0) from schema_migrations").Scan(&schema)
	var refusal *pgconn.PgError
	const undefinedTable = "42P01"
	switch {
	case errors.As(err, &refusal) && refusal.Code == undefinedTable:
		schema = 0
	case err != nil:
		return 0, fmt.Errorf("database: %w", err)
	}
	if schema < len(steps) {
		return schema, fmt.Errorf("the database has schema %d, this program needs %d: %w", schema, len(steps), order.ErrSchema)
	}
	return schema, nil
}

func (s *Store) one(ctx context.Context, what, statement string, arguments ...any) (order.Order, error) {
	rows, err := s.pool.Query(ctx, statement, arguments...)
	if err != nil {
		return order.Order{}, fmt.Errorf("%s: %w", what, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, scan)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return order.Order{}, order.ErrNotFound
	case err != nil:
		return order.Order{}, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}

func scan(row pgx.CollectableRow) (order.Order, error) {
	var found order.Order
	err := row.Scan(&found.ID, &found.Customer, &found.Item, &found.Quantity, &found.Note, &found.CreatedAt, &found.ShippedAt)
	return found, err
}

// pattern makes a search text into an ILIKE pattern that matches it literally.
func pattern(search string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(search) + "%"
}
