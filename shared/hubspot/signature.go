// Package hubspot speaks with HubSpot: it checks the signature of a webhook,
// reads its events, and fetches deals, contacts, associations and pipelines.
// It keeps nothing; reading the same thing twice is safe.
package hubspot

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// The headers of a signed webhook.
const (
	SignatureHeader = "X-HubSpot-Signature-v3"
	TimestampHeader = "X-HubSpot-Request-Timestamp"
)

// MaxSkew is how far a webhook's timestamp may lie from now, either way. HubSpot
// names only the past; a future timestamp would make a batch replayable for longer.
const MaxSkew = 5 * time.Minute

// Verify checks a webhook's v3 signature against each of secrets and returns the
// index of the one that made it. uri is the public address that HubSpot was given
// to call, not the one that this process saw behind its load balancer; body is
// the raw body. Signatures v1 and v2 carry no time and so never count. The error
// is a fault of kind Unauthorized that says "Invalid signature"; its cause, for
// the log, says why.
func Verify(secrets []string, method, uri string, body []byte, header http.Header, now time.Time) (int, error) {
	timestamp, given, err := signature(header, now)
	if err != nil {
		return -1, err
	}
	found := -1
	for i, secret := range secrets {
		// An empty secret would be one that everybody knows.
		if secret != "" && hmac.Equal(given, digest(secret, method, uri, body, timestamp)) && found < 0 {
			found = i
		}
	}
	if found < 0 {
		return -1, invalidSignature(errors.New("no secret made this signature"))
	}
	return found, nil
}

// Admissible reports, before the body is read, whether the headers can belong to
// a signed webhook: both are there once, the time is at most MaxSkew away, the
// signature is base64. The error is Verify's.
func Admissible(header http.Header, now time.Time) error {
	_, _, err := signature(header, now)
	return err
}

// signature returns what the headers say, or a fault of kind Unauthorized.
func signature(header http.Header, now time.Time) (timestamp string, given []byte, err error) {
	if timestamp, err = single(header, TimestampHeader); err != nil {
		return "", nil, invalidSignature(err)
	}
	if err := fresh(timestamp, now); err != nil {
		return "", nil, invalidSignature(err)
	}
	encoded, err := single(header, SignatureHeader)
	if err != nil {
		return "", nil, invalidSignature(err)
	}
	if given, err = base64.StdEncoding.Strict().DecodeString(encoded); err != nil {
		return "", nil, invalidSignature(errors.New("the signature is not base64"))
	}
	return timestamp, given, nil
}

// Sign returns the headers that HubSpot sends with body at the time at.
func Sign(secret, method, uri string, body []byte, at time.Time) http.Header {
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	header := make(http.Header, 2)
	header.Set(TimestampHeader, timestamp)
	header.Set(SignatureHeader, base64.StdEncoding.EncodeToString(digest(secret, method, uri, body, timestamp)))
	return header
}

func digest(secret, method, uri string, body []byte, timestamp string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(method))
	mac.Write([]byte(decodedURI.Replace(uri)))
	mac.Write(body)
	mac.Write([]byte(timestamp))
	return mac.Sum(nil)
}

// decodedURI undoes the percent-encoding of just the characters that HubSpot
// names, in one pass; everything else stays encoded.
var decodedURI = strings.NewReplacer(
	"%3A", ":", "%3a", ":", "%2F", "/", "%2f", "/", "%3F", "?", "%3f", "?",
	"%40", "@", "%21", "!", "%24", "$", "%27", "'", "%28", "(", "%29", ")",
	"%2A", "*", "%2a", "*", "%2C", ",", "%2c", ",", "%3B", ";", "%3b", ";",
)

// fresh accepts plain digits only: what parses to NaN in other languages skips
// their age check.
func fresh(timestamp string, now time.Time) error {
	for _, r := range timestamp {
		if r < '0' || r > '9' {
			return errors.New("the timestamp is not a number of milliseconds")
		}
	}
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return errors.New("the timestamp is not a number of milliseconds")
	}
	if age := now.UnixMilli() - ms; age > MaxSkew.Milliseconds() || age < -MaxSkew.Milliseconds() {
		return errors.New("the timestamp is more than 5 minutes away")
	}
	return nil
}

// single refuses a header that came twice: it would be anybody's guess which
// one was signed.
func single(header http.Header, name string) (string, error) {
	switch values := header.Values(name); {
	case len(values) == 0 || values[0] == "":
		return "", errors.New(name + " is missing")
	case len(values) > 1:
		return "", errors.New(name + " came more than once")
	default:
		return values[0], nil
	}
}

func invalidSignature(cause error) error {
	return &fault.Error{Kind: fault.Unauthorized, Message: "Invalid signature", Cause: cause}
}
