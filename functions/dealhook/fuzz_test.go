package dealhook

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

// FuzzDeals: a batch is refused by what it breaks, or every deal of it can be stored.
func FuzzDeals(f *testing.F) {
	f.Add([]byte(`{"deals":[{"deal_id":"d1","stage":"won","amount":12.5,"currency":"EUR","occurred_at":"2026-11-20T09:00:00Z","contact":{"id":"c","fbclid":"x"}}]}`))
	f.Add([]byte(`{"deals":[{"deal_id":"d1","stage":"won","occurred_at":"2099-11-20T09:00:00+14:00","deleted":true}]} `))
	f.Add([]byte(`{"deals":[{"deal_id":7}]}`))
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		deals, err := parse(body, now)
		if err != nil {
			var status interface{ GetStatus() int }
			if fault.Of(err) != fault.Invalid && (!errors.As(err, &status) || status.GetStatus() != http.StatusBadRequest) {
				t.Fatalf("an unexpected error: %v", err)
			}
			return
		}
		if len(deals) == 0 || len(deals) > maxDeals {
			t.Fatalf("%d deals", len(deals))
		}
		for _, d := range deals {
			if d.DealID == "" || d.Stage == "" || d.at.After(now) || d.at.Year() < 2000 || strings.ContainsAny(d.DealID+d.Stage, "\x00@") {
				t.Errorf("%+v", d)
			}
			if d.Contact == nil {
				continue
			}
			for _, key := range d.Contact.keys() {
				if key.Value == "" || strings.ContainsAny(key.Value, "\x00@") {
					t.Errorf("contact key %+v", key)
				}
			}
		}
	})
}

// FuzzSignature: headers that nobody signed never verify, whatever they hold.
func FuzzSignature(f *testing.F) {
	f.Add("msg_1", "1764493200", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", []byte(`{}`))
	f.Add("", "", "v1,", []byte{})
	f.Add("a b", "-1", "v1 v1a,x v1,eA==", []byte("x"))
	now := time.Unix(1764493200, 0)
	secret := standardwebhook.NewSecret()
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte) {
		h := http.Header{}
		h.Set(standardwebhook.IDHeader, id)
		h.Set(standardwebhook.TimestampHeader, at)
		h.Set(standardwebhook.SignatureHeader, signature)
		admissible := standardwebhook.Admissible(h, now)
		if standardwebhook.Verify([]string{secret, ""}, h, body, now) {
			t.Fatalf("%q at %q with %q verifies (admissible: %v)", id, at, signature, admissible)
		}
	})
}
