package database

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"sort"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Any two programs of this product that migrate the same database take this lock, whatever their version.
const migrationLock = 0x6f7264657273 // "orders"

// Migration is one step of the schema.
type Migration struct {
	Version  int
	Name     string
	SQL      string
	Checksum string
}

var migrationName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

// Migrations lists the steps that make this version's schema, in order, without gaps.
func Migrations() ([]Migration, error) {
	return readMigrations(migrationFiles)
}

func readMigrations(files fs.FS) ([]Migration, error) {
	entries, err := fs.ReadDir(files, "migrations")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	steps := make([]Migration, 0, len(entries))
	for _, entry := range entries {
		parts := migrationName.FindStringSubmatch(entry.Name())
		if parts == nil {
			return nil, fmt.Errorf("migration %s: the name is not NNNN_words.sql", entry.Name())
		}
		text, err := fs.ReadFile(files, "migrations/"+entry.Name())
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", entry.Name(), err)
		}
		number, err := strconv.Atoi(parts[1])
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", entry.Name(), err)
		}
		sum := sha256.Sum256(text)
		steps = append(steps, Migration{Version: number, Name: parts[2], SQL: string(text), Checksum: hex.EncodeToString(sum[:])})
	}
	sort.Slice(steps, func(a, b int) bool { return steps[a].Version < steps[b].Version })
	for index, step := range steps {
		if step.Version != index+1 {
			return nil, fmt.Errorf("migration %04d_%s: expected number %04d", step.Version, step.Name, index+1)
		}
	}
	return steps, nil
}

// Migrate brings the database to this version's schema: all missing steps in one transaction, under
// a lock, so that it happens wholly or not at all however many try at once. A second run changes nothing.
func Migrate(ctx context.Context, pool *pgxpool.Pool, say func(string, ...any)) error {
	steps, err := Migrations()
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return fmt.Errorf("lock for migrations: %w", err)
		}
		applied, err := appliedChecksums(ctx, tx)
		if err != nil {
			return err
		}
		missing, err := missingSteps(steps, applied)
		if err != nil {
			return err
		}
		for _, step := range missing {
			if err := applyStep(ctx, tx, step); err != nil {
				return err
			}
			say("schema %d applied: %s", step.Version, step.Name)
		}
		say("schema %d of %d: %d applied now, %d before", len(steps), len(steps), len(missing), len(applied))
		return nil
	})
}

func appliedChecksums(ctx context.Context, tx pgx.Tx) ([]string, error) {
	const table = `create table if not exists schema_migrations (
		version    integer primary key,
		name       text not null,
		checksum   text not null,
		applied_at timestamptz not null default now()
	)`
	if _, err := tx.Exec(ctx, table); err != nil {
		return nil, fmt.Errorf("table of migrations: %w", err)
	}
	rows, err := tx.Query(ctx, "select checksum from schema_migrations order by version")
	if err != nil {
		return nil, fmt.Errorf("applied migrations: %w", err)
	}
	applied, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("applied migrations: %w", err)
	}
	return applied, nil
}

// missingSteps refuses a database that this program does not understand: newer, or made by other steps.
func missingSteps(steps []Migration, applied []string) ([]Migration, error) {
	if len(applied) > len(steps) {
		return nil, fmt.Errorf("the database has schema %d, this program knows %d only: use the newer program", len(applied), len(steps))
	}
	for index, checksum := range applied {
		if step := steps[index]; step.Checksum != checksum {
			return nil, fmt.Errorf("schema %d (%s) in the database was made by other statements than this program's", step.Version, step.Name)
		}
	}
	return steps[len(applied):], nil
}

func applyStep(ctx context.Context, tx pgx.Tx, step Migration) error {
	if _, err := tx.Exec(ctx, step.SQL); err != nil {
		return fmt.Errorf("schema %d (%s): %w", step.Version, step.Name, err)
	}
	const record = "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)"
	if _, err := tx.Exec(ctx, record, step.Version, step.Name, step.Checksum); err != nil {
		return fmt.Errorf("schema %d (%s): %w", step.Version, step.Name, err)
	}
	return nil
}
