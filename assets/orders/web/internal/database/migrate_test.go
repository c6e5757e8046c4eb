package database

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestShippedMigrationsAreInOrder(t *testing.T) {
	steps, err := Migrations()
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) < 2 || steps[0].Name != "orders" {
		t.Fatalf("unexpected steps: %+v", steps)
	}
}

func TestGapsAndBadNamesAreRefused(t *testing.T) {
	cases := map[string]fstest.MapFS{
		"expected number 0002": {"migrations/0001_a.sql": {}, "migrations/0003_b.sql": {}},
		"NNNN_words.sql":       {"migrations/first.sql": {}},
	}
	for message, files := range cases {
		if _, err := readMigrations(files); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("expected a refusal with %q, got %v", message, err)
		}
	}
}

func TestMissingStepsOfAnOlderDatabase(t *testing.T) {
	steps := []Migration{{Version: 1, Checksum: "a"}, {Version: 2, Checksum: "b"}}
	missing, err := missingSteps(steps, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) != 1 || missing[0].Version != 2 {
		t.Fatalf("unexpected: %+v", missing)
	}
}

func TestForeignAndNewerDatabasesAreRefused(t *testing.T) {
	steps := []Migration{{Version: 1, Name: "orders", Checksum: "a"}}
	if _, err := missingSteps(steps, []string{"z"}); err == nil || !strings.Contains(err.Error(), "other statements") {
		t.Errorf("an edited step is accepted: %v", err)
	}
	if _, err := missingSteps(steps, []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("a newer database is accepted: %v", err)
	}
}
