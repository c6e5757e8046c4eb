// Package database keeps the order book in PostgreSQL: connection, schema and queries.
package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 5 * time.Second
	retryInterval  = time.Second
	// Waiting says so this often, so that nobody takes it for a hang.
	reportInterval = 5 * time.Second
)

// Open makes a pool from the PG… environment variables and ORDERS_DB_PASSWORD_FILE. It does not
// connect yet. The password file is read at every new connection, so that a changed password
// needs no restart.
func Open(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("database settings in the environment: %w", err)
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.RuntimeParams["application_name"] = "orders"
	config.MaxConns = 10
	config.MaxConnIdleTime = 5 * time.Minute
	config.HealthCheckPeriod = 15 * time.Second
	if path := os.Getenv("ORDERS_DB_PASSWORD_FILE"); path != "" {
		config.BeforeConnect = func(_ context.Context, connection *pgx.ConnConfig) error {
			password, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("password of the database: %w", err)
			}
			connection.Password = strings.TrimRight(string(password), "\r\n")
			return nil
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return pool, nil
}

// WaitReachable returns when the database answers a query, or with the last cause when the time is
// over. A refused password ends the wait at once: it does not mend itself.
func WaitReachable(ctx context.Context, pool *pgxpool.Pool, limit time.Duration, say func(string, ...any)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	target := pool.Config().ConnConfig
	place := fmt.Sprintf("database %s at %s:%d", target.Database, target.Host, target.Port)
	tick := time.NewTicker(retryInterval)
	defer tick.Stop()
	start, reported := time.Now(), time.Time{}
	for {
		err := pool.Ping(ctx)
		if err == nil {
			say("%s answers", place)
			return nil
		}
		if passwordRefused(err) {
			return fmt.Errorf("%s refuses user %s: %w", place, target.User, err)
		}
		if time.Since(reported) >= reportInterval {
			say("waiting for %s, %d s of %d s: %v", place, int(time.Since(start).Seconds()), int(limit.Seconds()), oneLine(err))
			reported = time.Now()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer within %s: %w", place, limit, err)
		case <-tick.C:
		}
	}
}

// oneLine keeps a log readable: pgx lists its attempts over several lines.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func passwordRefused(err error) bool {
	var refusal *pgconn.PgError
	const invalidPassword, invalidAuthorization = "28P01", "28000"
	return errors.As(err, &refusal) && (refusal.Code == invalidPassword || refusal.Code == invalidAuthorization)
}
