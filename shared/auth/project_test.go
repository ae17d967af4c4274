package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
)

// project is a Supabase project's token issuer.
type project struct {
	*httptest.Server
	delay time.Duration

	mu      sync.Mutex
	keys    map[string]crypto.Signer
	down    bool
	fetched int
}

func newProject(t *testing.T) *project {
	p := &project{keys: map[string]crypto.Signer{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	p.Config.Handler = p
	return p
}

func (p *project) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(p.delay)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetched++
	if p.down || r.URL.Path != "/auth/v1/.well-known/jwks.json" {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	keys := []any{}
	for id, key := range p.keys {
		keys = append(keys, jwk(id, key.Public()))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
}

func (p *project) verifier() *auth.Verifier { return auth.New(auth.Config{SupabaseURL: p.URL}) }

func (p *project) add(id string, key crypto.Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[id] = key
}

func (p *project) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, id)
}

func (p *project) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *project) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

func (p *project) claims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": p.URL + "/auth/v1", "aud": []string{"authenticated"}, "sub": "u-1", "email": "m@example.com",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"app_metadata": map[string]any{"tenant_id": tenant, "role": "editor"},
	}
}

func (p *project) sign(t *testing.T, id string, key crypto.Signer, c jwt.MapClaims) string {
	t.Helper()
	return p.signWith(t, map[string]any{"kid": id}, key, c)
}

// signWith signs with the members of a header; a nil one is left out.
func (p *project) signWith(t *testing.T, header map[string]any, key crypto.Signer, c jwt.MapClaims) string {
	t.Helper()
	var method jwt.SigningMethod = jwt.SigningMethodES256
	if _, ok := key.(*rsa.PrivateKey); ok {
		method = jwt.SigningMethodRS256
	}
	token := jwt.NewWithClaims(method, c)
	for name, value := range header {
		if value != nil {
			token.Header[name] = value
		}
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func hmacSigned(t *testing.T, id string, secret []byte, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	if id != "" {
		token.Header["kid"] = id
	}
	signed, err := token.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func unsigned(t *testing.T, c jwt.MapClaims, algorithm string) string {
	t.Helper()
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":"k"}`, algorithm)
	return base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func jwk(id string, key crypto.PublicKey) map[string]string {
	text := base64.RawURLEncoding.EncodeToString
	switch key := key.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": text(key.N.Bytes()), "e": text(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, _ := key.Bytes()
		return map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": text(point[1:33]), "y": text(point[33:])}
	}
	return nil
}
