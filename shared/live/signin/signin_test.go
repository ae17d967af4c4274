package signin_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/geminivideo/geminivideo/shared/live/signin"
)

func TestATokenIsWhatFirebaseTakesAndNamesTheTenantForAnHour(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signin.New(signin.Config{Project: "p", Account: "signer@p.example", Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 1, 10, 0, 0, 500, time.UTC)
	token, until, err := s.Token("tenant", "ana@example.com", now)
	if err != nil || !until.Equal(time.Date(2026, 5, 1, 11, 0, 0, 0, time.UTC)) {
		t.Fatalf("%v %v", until, err)
	}
	var claims jwt.MapClaims
	parsed, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil || !parsed.Valid {
		t.Fatal(err)
	}
	uid, _ := claims["uid"].(string)
	own, _ := claims["claims"].(map[string]any)
	if claims["iss"] != "signer@p.example" || claims["sub"] != claims["iss"] || own["tenant_id"] != "tenant" || len(uid) != 64 || claims["exp"].(float64)-claims["iat"].(float64) != 3600 ||
		claims["aud"] != "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit" {
		t.Errorf("%v", claims)
	}
	if other, _, _ := s.Token("other", "ana@example.com", now); other == token {
		t.Error("another tenant's token is the same")
	}
}

func TestWithoutAKeyThereIsNoSignerAndABadOneIsAnError(t *testing.T) {
	t.Parallel()
	if s, err := signin.New(signin.Config{Project: "p"}); s != nil || err != nil {
		t.Errorf("%v %v", s, err)
	}
	if _, err := signin.New(signin.Config{Project: "p", Account: "a", Key: "nonsense"}); err == nil {
		t.Error("a key that is none was taken")
	}
}
