// Package issuer stands in for Supabase Auth on one machine: it signs access
// tokens as a project with asymmetric keys does and serves its public keys. The
// local system uses it, and so do the tests.
package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/auth"
)

// JWKSPath is where a Supabase project serves its public keys.
const JWKSPath = "/auth/v1/.well-known/jwks.json"

// Issuer signs tokens with ES256.
type Issuer struct {
	url string // of the project, without a trailing slash
	key *ecdsa.PrivateKey
	kid string
}

// Open returns the issuer at url whose key is kept in file, made on first use.
func Open(url, file string) (*Issuer, error) {
	key, err := readKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = writeKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("open the token key %s: %w", filepath.Base(file), err)
	}
	return with(url, key), nil
}

// New returns an issuer for a test, served on an address of its own.
func New(t testing.TB) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var i *Issuer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	i = with(server.URL, key)
	return i
}

func with(url string, key *ecdsa.PrivateKey) *Issuer {
	point, _ := key.PublicKey.Bytes() // P-256 is always encodable
	sum := sha256.Sum256(point)
	return &Issuer{url: strings.TrimSuffix(url, "/"), key: key, kid: hex.EncodeToString(sum[:8])}
}

// Config returns the settings with which functions trust this issuer.
func (i *Issuer) Config() auth.Config { return auth.Config{SupabaseURL: i.url} }

// Verifier returns a verifier that trusts this issuer.
func (i *Issuer) Verifier() *auth.Verifier { return auth.New(i.Config()) }

// Token returns an access token of tenant's member with that role, valid for life.
func (i *Issuer) Token(tenant, email string, role auth.Role, life time.Duration) string {
	now := time.Now()
	return i.Sign(jwt.MapClaims{
		"iss": i.url + "/auth/v1", "aud": "authenticated", "role": "authenticated",
		"sub": uuid.NewSHA1(uuid.NameSpaceURL, []byte(email)).String(), "email": email,
		"iat": now.Unix(), "exp": now.Add(life).Unix(),
		"app_metadata": map[string]any{"tenant_id": tenant, "role": role.String()},
	})
}

// Sign returns a token with just these claims.
func (i *Issuer) Sign(claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = i.kid
	signed, err := token.SignedString(i.key)
	if err != nil {
		panic(err) // an ES256 key signs any claims
	}
	return signed
}

// ServeHTTP serves the public keys at JWKSPath.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != JWKSPath {
		http.NotFound(w, r)
		return
	}
	point, _ := i.key.PublicKey.Bytes() // 0x04, x, y
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": i.kid,
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]),
		"y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}}})
}

func readKey(file string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("is not a PEM file")
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func writeKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return key, os.WriteFile(file, data, 0o600)
}
