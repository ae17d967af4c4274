package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// FuzzToken: what this project has not signed is nobody, however it is written.
func FuzzToken(f *testing.F) {
	f.Add("Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9.")
	f.Add("Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJleHAiOiI5OTk5OTk5OTk5In0.AAAA")
	f.Add("bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJjcml0IjpbIngiXX0.eyJpc3MiOiJ4In0.AAAA")
	f.Add("Basic x")
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }))
	f.Cleanup(keys.Close)
	v := auth.New(auth.Config{SupabaseURL: keys.URL, LegacySecret: "a secret of thirty-two characters"})
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		id, err := v.VerifyRequest(r)
		if err == nil || id != (auth.Identity{}) || fault.Of(err) != fault.Unauthorized {
			t.Fatalf("%q is %+v, %v", header, id, err)
		}
	})
}
