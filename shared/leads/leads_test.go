package leads_test

import (
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/leads"
)

func TestOnePersonsAddressHasOneHashUnderOneKey(t *testing.T) {
	t.Parallel()
	one := leads.Email("key", "Ann.Lead@Example.com")
	if one != leads.Email("key", " ann.lead@example.com\n") || len(one) != 64 {
		t.Errorf("%q", one)
	}
	number := leads.Phone("key", "+1 (312) 555-0144")
	for _, same := range []string{"13125550144", "0013125550144", "1-312-555-0144"} {
		if leads.Phone("key", same) != number {
			t.Errorf("%s is taken for another number", same)
		}
	}
	for name, other := range map[string]string{
		"another key":     leads.Email("key2", "ann.lead@example.com"),
		"another address": leads.Email("key", "ann@example.com"),
		"a phone number":  leads.Phone("key", "13125550145"),
	} {
		if other == one || other == number || other == "" {
			t.Errorf("%s has the same hash, or none", name)
		}
	}
	for _, none := range []string{leads.Email("key", "ann"), leads.Email("key", "@x"), leads.Email("key", ""), leads.Email("", "a@b"), leads.Phone("key", "12345"), leads.Phone("key", "none")} {
		if none != "" {
			t.Errorf("what is no address is hashed to %s", none)
		}
	}
	if a, b := leads.NewKey(), leads.NewKey(); a == b || len(a) < 40 || strings.ContainsAny(a, " \n") {
		t.Errorf("keys %q and %q", a, b)
	}
}
