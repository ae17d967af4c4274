// Package standardwebhook signs and verifies webhooks as the Standard Webhooks
// specification says: HMAC-SHA256 over the id, the time and the body, keyed with
// what a whsec_ secret holds in base64.
package standardwebhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a message.
const (
	IDHeader        = "Webhook-Id"
	TimestampHeader = "Webhook-Timestamp"
	SignatureHeader = "Webhook-Signature"
)

// Tolerance is how old, or ahead of the receiver's clock, a message may be.
const Tolerance = 5 * time.Minute

const prefix = "whsec_"

// NewSecret makes a secret of 32 random bytes.
func NewSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	return prefix + base64.StdEncoding.EncodeToString(raw[:])
}

// key is what signs: the bytes that the secret holds in base64, of either alphabet,
// or the secret's own bytes where it is not written so.
func key(secret string) []byte {
	text := strings.TrimRight(strings.TrimPrefix(secret, prefix), "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := encoding.DecodeString(text); err == nil && len(raw) > 0 {
			return raw
		}
	}
	return []byte(secret)
}

// Sign returns one signature of SignatureHeader, such as "v1,K5oZfz...=".
func Sign(secret, id string, at time.Time, body []byte) string {
	return "v1," + base64.StdEncoding.EncodeToString(sum(secret, id, strconv.FormatInt(at.Unix(), 10), body))
}

func sum(secret, id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key(secret))
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// maxID is longer than any sender's id.
const maxID = 256

// Admissible reports whether the headers can belong to a valid message at now: it is
// asked before the body is read.
func Admissible(h http.Header, now time.Time) bool {
	seconds, err := strconv.ParseInt(h.Get(TimestampHeader), 10, 64)
	if err != nil || len(h.Get(IDHeader)) == 0 || len(h.Get(IDHeader)) > maxID {
		return false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return age <= Tolerance && age >= -Tolerance && strings.Contains(h.Get(SignatureHeader), "v1,")
}

// maxSignatures bounds how many signatures of one message are compared.
const maxSignatures = 10

// Verify reports whether one of the secrets has signed the message, at most
// Tolerance from now. Comparing takes the same time whatever differs.
func Verify(secrets []string, h http.Header, body []byte, now time.Time) bool {
	if !Admissible(h, now) {
		return false
	}
	valid := false
	signatures := strings.Fields(h.Get(SignatureHeader))
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		want := sum(secret, h.Get(IDHeader), h.Get(TimestampHeader), body)
		for _, signature := range signatures[:min(len(signatures), maxSignatures)] {
			got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
			if strings.HasPrefix(signature, "v1,") && err == nil && hmac.Equal(got, want) {
				valid = true
			}
		}
	}
	return valid
}
