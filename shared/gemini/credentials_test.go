package gemini_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/meter"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// TestACallOfVertexWithCredentialsIsMeasured runs alone: credentials are found by the
// environment, and the certificate is trusted by the default transport.
func TestACallOfVertexWithCredentialsIsMeasured(t *testing.T) {
	meter.Start(t)
	fake := fakegemini.New()
	fake.Write = func(fakegemini.Call) string { return fits }
	var authorization string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token": "of-the-account", "token_type": "Bearer", "expires_in": 3600}`)
			return
		}
		authorization = r.Header.Get("Authorization")
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	usual := http.DefaultTransport
	http.DefaultTransport = server.Client().Transport
	t.Cleanup(func() { http.DefaultTransport = usual })
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "f@p.iam.gserviceaccount.com", "client_id": "1",
		"token_uri": server.URL + "/token", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(path, account, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	f := open(t, onVertex, func(cfg *gemini.Config) { cfg.BaseURL = server.URL })
	if _, err := ask(telemetry.WithFunction(t.Context(), "vertex"), f); err != nil {
		t.Fatal(err)
	}
	if authorization != "Bearer of-the-account" {
		t.Errorf("Vertex is asked with %q", authorization)
	}
	if n := meter.Value(t, "gv_call_duration_seconds", "function=vertex", "service=gemini", "class=2xx"); n != 1 {
		t.Errorf("%v calls are measured", n)
	}
}
