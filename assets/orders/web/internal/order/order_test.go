package order_test

import (
	"strings"
	"testing"

	"registry.sealift.example/orders/web/internal/order"
)

func TestCleanTrimsAndAccepts(t *testing.T) {
	draft, problems := order.Draft{Customer: "  Ада  ", Item: "Bolt M8\t", Quantity: 1, Note: "first\nsecond"}.Clean()
	if problems != nil {
		t.Fatalf("unexpected problems: %v", problems)
	}
	if draft.Customer != "Ада" || draft.Item != "Bolt M8" || draft.Note != "first\nsecond" {
		t.Fatalf("not trimmed as expected: %+v", draft)
	}
}

func TestCleanReportsAllProblemsAtOnce(t *testing.T) {
	_, problems := order.Draft{Customer: " ", Item: "a\x00b", Quantity: 0, Note: strings.Repeat("é", order.MaxNote+1)}.Clean()
	for _, field := range []string{"customer", "item", "quantity", "note"} {
		if problems[field] == "" {
			t.Errorf("no problem reported for %s: %v", field, problems)
		}
	}
}

func TestCleanCountsCharactersNotBytes(t *testing.T) {
	draft := order.Draft{Customer: strings.Repeat("世", order.MaxCustomer), Item: "x", Quantity: order.MaxQuantity}
	if _, problems := draft.Clean(); problems != nil {
		t.Fatalf("a name of %d characters is refused: %v", order.MaxCustomer, problems)
	}
	draft.Customer += "世"
	if _, problems := draft.Clean(); problems["customer"] == "" {
		t.Fatalf("a name of %d characters is accepted", order.MaxCustomer+1)
	}
}

func TestCleanBoundsQuantity(t *testing.T) {
	for quantity, acceptable := range map[int]bool{-1: false, 0: false, 1: true, order.MaxQuantity: true, order.MaxQuantity + 1: false} {
		_, problems := order.Draft{Customer: "a", Item: "b", Quantity: quantity}.Clean()
		if (problems == nil) != acceptable {
			t.Errorf("quantity %d: problems %v", quantity, problems)
		}
	}
}
