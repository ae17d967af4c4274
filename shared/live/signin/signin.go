// Package signin mints the token with which a frontend signs in to Firebase to
// listen to the live view: the rules judge a Firebase sign-in, and cannot see a
// Supabase token.
package signin

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Config is the service account that signs.
type Config struct {
	// The Firebase project whose Firestore holds the live view; without it there is none.
	Project string `env:"FIRESTORE_PROJECT"`
	// The e-mail of the service account whose key signs sign-in tokens.
	Account string `env:"FIREBASE_SIGNER_EMAIL"`
	// The private key of that service account, in PEM.
	Key string `env:"FIREBASE_SIGNER_KEY"`
}

// Life is how long a token admits; Firebase takes no longer one.
const Life = time.Hour

// audience is what Firebase takes custom tokens for.
const audience = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"

// Signer mints tokens. The nil Signer is one of a deployment without a live view.
type Signer struct {
	project, account string
	key              *rsa.PrivateKey
}

// New returns the signer of a configuration, nil where there is no live view.
func New(cfg Config) (*Signer, error) {
	if cfg.Project == "" || cfg.Account == "" || cfg.Key == "" {
		return nil, nil
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(cfg.Key))
	if err != nil {
		return nil, fmt.Errorf("read FIREBASE_SIGNER_KEY: %w", err)
	}
	return &Signer{cfg.Project, cfg.Account, key}, nil
}

// Project is the Firebase project.
func (s *Signer) Project() string { return s.project }

// Token is a custom token that admits subject to what tenant may see, and when it ends.
func (s *Signer) Token(tenant, subject string, now time.Time) (token string, until time.Time, err error) {
	// Firebase's user ids have at most 128 characters; one of ours names nobody.
	id := sha256.Sum256([]byte(tenant + "\x00" + subject))
	until = now.Add(Life).UTC().Truncate(time.Second)
	token, err = jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": s.account, "sub": s.account, "aud": audience, "iat": now.Unix(), "exp": until.Unix(),
		"uid": hex.EncodeToString(id[:]), "claims": map[string]string{"tenant_id": tenant},
	}).SignedString(s.key)
	if err != nil {
		return "", until, fmt.Errorf("sign a sign-in token: %w", err)
	}
	return token, until, nil
}
