//go:build postgres

// These tests start a PostgreSQL of their own on a Unix socket: `go test -tags postgres ./internal/database`.
// ORDERS_TEST_POSTGRES names the folder of its programs.
package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"registry.sealift.example/orders/web/internal/order"
)

func programs() string {
	if folder := os.Getenv("ORDERS_TEST_POSTGRES"); folder != "" {
		return folder
	}
	return "/usr/lib/postgresql/15/bin"
}

// PostgreSQL refuses to run as root.
const nobody = 65534

func command(t *testing.T, folder, program string, arguments ...string) *exec.Cmd {
	t.Helper()
	run := exec.Command(filepath.Join(programs(), program), arguments...)
	run.Dir = folder
	run.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if os.Geteuid() == 0 {
		run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return run
}

func startPostgres(t *testing.T) *pgxpool.Pool {
	t.Helper()
	folder, err := os.MkdirTemp("", "orders-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	passwordFile := filepath.Join(folder, "password")
	if err := os.WriteFile(passwordFile, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		for _, path := range []string{folder, passwordFile} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	data := filepath.Join(folder, "data")
	initialise := command(t, folder, "initdb", "-D", data, "-U", "orders", "-A", "scram-sha-256", "--pwfile="+passwordFile, "-N")
	if out, err := initialise.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := command(t, folder, "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		_ = server.Wait()
	})
	for name, value := range map[string]string{
		"PGHOST": folder, "PGUSER": "orders", "PGDATABASE": "postgres", "PGSSLMODE": "disable", "ORDERS_DB_PASSWORD_FILE": passwordFile,
	} {
		t.Setenv(name, value)
	}
	pool, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := WaitReachable(t.Context(), pool, time.Minute, t.Logf); err != nil {
		t.Fatal(err)
	}
	return pool
}

func TestBookInPostgreSQL(t *testing.T) {
	pool := startPostgres(t)
	t.Run("refuses a wrong password at once", refusesWrongPassword)
	t.Run("is not ready before the migration", func(t *testing.T) { notReadyBefore(t, pool) })
	t.Run("migrates once however many try", func(t *testing.T) { migratesOnce(t, pool) })
	t.Run("refuses an edited migration", func(t *testing.T) { refusesEdited(t, pool) })
	t.Run("keeps orders", func(t *testing.T) { keepsOrders(t, pool) })
	t.Run("searches literally", func(t *testing.T) { searchesLiterally(t, pool) })
}

func refusesWrongPassword(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong, []byte("guess"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ORDERS_DB_PASSWORD_FILE", wrong)
	pool, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	err = WaitReachable(t.Context(), pool, time.Hour, t.Logf)
	if err == nil || !strings.Contains(err.Error(), "refuses user orders") {
		t.Fatalf("unexpected: %v", err)
	}
}

func notReadyBefore(t *testing.T, pool *pgxpool.Pool) {
	schema, err := NewStore(pool).Ready(t.Context())
	if schema != 0 || err == nil || !strings.Contains(err.Error(), "migrate has not run yet") {
		t.Fatalf("schema %d, %v", schema, err)
	}
}

func migratesOnce(t *testing.T, pool *pgxpool.Pool) {
	var wait sync.WaitGroup
	failures := make([]error, 8)
	for index := range failures {
		wait.Go(func() { failures[index] = Migrate(context.Background(), pool, func(string, ...any) {}) })
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	steps, err := Migrations()
	if err != nil {
		t.Fatal(err)
	}
	if schema, err := NewStore(pool).Ready(t.Context()); err != nil || schema != len(steps) {
		t.Fatalf("schema %d, %v", schema, err)
	}
}

func refusesEdited(t *testing.T, pool *pgxpool.Pool) {
	set := func(checksum string) {
		if _, err := pool.Exec(t.Context(), "update schema_migrations set checksum = $1 where version = 1", checksum); err != nil {
			t.Fatal(err)
		}
	}
	steps, err := Migrations()
	if err != nil {
		t.Fatal(err)
	}
	set("edited")
	defer set(steps[0].Checksum)
	if err := Migrate(t.Context(), pool, t.Logf); err == nil || !strings.Contains(err.Error(), "other statements") {
		t.Fatalf("unexpected: %v", err)
	}
}

func keepsOrders(t *testing.T, pool *pgxpool.Pool) {
	store := NewStore(pool)
	created, err := store.Create(t.Context(), order.Draft{Customer: "Ада", Item: "Bolt", Quantity: 2, Note: "first\nsecond"})
	if err != nil {
		t.Fatal(err)
	}
	read, err := store.Get(t.Context(), created.ID)
	if err != nil || read.Draft != created.Draft || !read.CreatedAt.Equal(created.CreatedAt) {
		t.Fatalf("read %+v, created %+v (%v)", read, created, err)
	}
	if shipped, err := store.Ship(t.Context(), created.ID); err != nil || shipped.Open() {
		t.Fatalf("shipped %+v (%v)", shipped, err)
	}
	if _, err := store.Ship(t.Context(), created.ID); !errors.Is(err, order.ErrShipped) {
		t.Fatalf("shipped twice: %v", err)
	}
	if err := store.Remove(t.Context(), created.ID); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"get":    second(store.Get(t.Context(), created.ID)),
		"ship":   second(store.Ship(t.Context(), created.ID)),
		"remove": store.Remove(t.Context(), created.ID),
	} {
		if !errors.Is(err, order.ErrNotFound) {
			t.Errorf("%s of a removed order: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func searchesLiterally(t *testing.T, pool *pgxpool.Pool) {
	store := NewStore(pool)
	for index, item := range []string{"100% wool", "100 wool", `back\slash`, "under_score", "underXscore"} {
		if _, err := store.Create(t.Context(), order.Draft{Customer: fmt.Sprint("c", index), Item: item, Quantity: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for search, matches := range map[string]int64{"100%": 1, "WOOL": 2, `\`: 1, "r_s": 1, "": 5} {
		filter := order.Filter{Search: search, Limit: 2}
		counts, err := store.Count(t.Context(), filter)
		if err != nil || counts.Matching != matches {
			t.Errorf("%q counts %d, expected %d (%v)", search, counts.Matching, matches, err)
		}
		if orders, err := store.List(t.Context(), filter); err != nil || int64(len(orders)) != min(matches, 2) {
			t.Errorf("%q lists %d (%v)", search, len(orders), err)
		}
	}
	if open, err := store.List(t.Context(), order.Filter{Status: order.Shipped, Limit: 10}); err != nil || len(open) != 0 {
		t.Errorf("shipped: %v (%v)", open, err)
	}
}
