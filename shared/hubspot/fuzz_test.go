package hubspot_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
)

// FuzzSignature: headers that nobody signed never verify, and an empty secret is none.
func FuzzSignature(f *testing.F) {
	f.Add("1764493200000", "K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", []byte(`[]`))
	f.Add("", "", []byte{})
	f.Add("9223372036854775808", "====", []byte("x"))
	now := time.UnixMilli(1764493200000)
	f.Fuzz(func(t *testing.T, at, signature string, body []byte) {
		h := http.Header{}
		h.Set(hubspot.TimestampHeader, at)
		h.Set(hubspot.SignatureHeader, signature)
		if err := hubspot.Admissible(h, now); err != nil && fault.Of(err) != fault.Unauthorized {
			t.Fatalf("an unexpected error: %v", err)
		}
		which, err := hubspot.Verify([]string{"", "a secret that nobody knows"}, http.MethodPost, "https://x.example/webhooks/hubspot", body, h, now)
		if err == nil || which >= 0 || fault.Of(err) != fault.Unauthorized {
			t.Fatalf("%q with %q: %d, %v", at, signature, which, err)
		}
	})
}
