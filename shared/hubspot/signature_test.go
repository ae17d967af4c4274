package hubspot_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
)

// The vectors that HubSpot publishes.
const (
	clientSecret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
	clientURI    = "https://www.example.com/webhook_uri"
	clientBody   = `{'example_field':'example_value'}`
	clientSig    = "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw="

	docsSecret = "cfc68c0b-4b4e-4ef8-b764-95350e4ea479"
	docsURI    = "https://webhook.site/335453f5-94b3-49d9-b684-a55354d4b8df"
	docsBody   = `[{"eventId":531833541,"subscriptionId":3923621,"portalId":48807704,"appId":16111050,"occurredAt":1752613920733,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":138017612137,"changeFlag":"CREATED","changeSource":"CRM_UI","sourceId":"userId:76023669"}]`
	docsSig    = "gbj1XPRvUt0noT7i7fXfTzOD4sLzQmf0VT28ZYq0EYg="
)

var docsAt = time.UnixMilli(1752613922216)

func signed(timestamp, signature string) http.Header {
	return http.Header{
		http.CanonicalHeaderKey(hubspot.TimestampHeader): {timestamp},
		http.CanonicalHeaderKey(hubspot.SignatureHeader): {signature},
	}
}

func TestPublicVectorsVerify(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ secret, uri, body, timestamp, signature string }{
		{clientSecret, clientURI, clientBody, "15000000", clientSig},
		{docsSecret, docsURI, docsBody, "1752613922216", docsSig},
	} {
		now := time.UnixMilli(15000000)
		if v.timestamp != "15000000" {
			now = docsAt
		}
		if _, err := hubspot.Verify([]string{v.secret}, "POST", v.uri, []byte(v.body), signed(v.timestamp, v.signature), now); err != nil {
			t.Errorf("%s: %v", v.uri, err)
		}
		if got := hubspot.Sign(v.secret, "POST", v.uri, []byte(v.body), now).Get(hubspot.SignatureHeader); got != v.signature {
			t.Errorf("Sign gave %s, want %s", got, v.signature)
		}
	}
}

func TestAnythingElseIsRefused(t *testing.T) {
	t.Parallel()
	good := signed("1752613922216", docsSig)
	with := func(change func(http.Header)) http.Header {
		h := good.Clone()
		change(h)
		return h
	}
	for name, c := range map[string]struct {
		secret, method, uri, body string
		header                    http.Header
		now                       time.Time
	}{
		"one byte of the body":    {body: strings.Replace(docsBody, "CRM_UI", "CRM_UJ", 1)},
		"another method":          {method: "PUT"},
		"another address":         {uri: docsURI + "/"},
		"the inner address":       {uri: "http://webhook.site/335453f5-94b3-49d9-b684-a55354d4b8df"},
		"another secret":          {secret: clientSecret},
		"an empty secret":         {secret: "none", header: hubspot.Sign("", "POST", docsURI, []byte(docsBody), docsAt)},
		"more than 5 min old":     {now: docsAt.Add(5*time.Minute + time.Millisecond)},
		"more than 5 min ahead":   {now: docsAt.Add(-5*time.Minute - time.Millisecond)},
		"no signature":            {header: with(func(h http.Header) { h.Del(hubspot.SignatureHeader) })},
		"no timestamp":            {header: with(func(h http.Header) { h.Del(hubspot.TimestampHeader) })},
		"NaN":                     {header: with(func(h http.Header) { h.Set(hubspot.TimestampHeader, "NaN") })},
		"a negative time":         {header: with(func(h http.Header) { h.Set(hubspot.TimestampHeader, "-1752613922216") })},
		"a signed time":           {header: with(func(h http.Header) { h.Set(hubspot.TimestampHeader, "+1752613922216") })},
		"an endless time":         {header: with(func(h http.Header) { h.Set(hubspot.TimestampHeader, strings.Repeat("9", 40)) })},
		"seconds":                 {header: with(func(h http.Header) { h.Set(hubspot.TimestampHeader, "1752613922") })},
		"two signatures":          {header: with(func(h http.Header) { h.Add(hubspot.SignatureHeader, docsSig) })},
		"no base64":               {header: with(func(h http.Header) { h.Set(hubspot.SignatureHeader, "?") })},
		"an empty signature":      {header: with(func(h http.Header) { h.Set(hubspot.SignatureHeader, "") })},
		"half a signature":        {header: with(func(h http.Header) { h.Set(hubspot.SignatureHeader, docsSig[:20]) })},
		"v1 and v2 headers alone": {header: http.Header{"X-Hubspot-Signature": {docsSig}, "X-Hubspot-Signature-Version": {"v2"}}},
	} {
		secret, method, uri, body := docsSecret, "POST", docsURI, docsBody
		if c.secret != "" {
			secret = c.secret
		}
		if c.secret == "none" {
			secret = ""
		}
		if c.method != "" {
			method = c.method
		}
		if c.uri != "" {
			uri = c.uri
		}
		if c.body != "" {
			body = c.body
		}
		if c.header == nil {
			c.header = good
		}
		if c.now.IsZero() {
			c.now = docsAt
		}
		which, err := hubspot.Verify([]string{secret}, method, uri, []byte(body), c.header, c.now)
		var problem *fault.Error
		if !errors.As(err, &problem) || problem.Kind != fault.Unauthorized || problem.Message != "Invalid signature" || which != -1 {
			t.Errorf("%s: got %d and error %v, want Invalid signature", name, which, err)
		}
	}
}

func TestTheEdgesOfFiveMinutesPass(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-5 * time.Minute, 5 * time.Minute} {
		if _, err := hubspot.Verify([]string{docsSecret}, "POST", docsURI, []byte(docsBody), signed("1752613922216", docsSig), docsAt.Add(skew)); err != nil {
			t.Errorf("%v away: %v", skew, err)
		}
	}
}

func TestTheSecretThatSignedIsNamed(t *testing.T) {
	t.Parallel()
	which, err := hubspot.Verify([]string{"", "another", docsSecret}, "POST", docsURI, []byte(docsBody), signed("1752613922216", docsSig), docsAt)
	if which != 2 || err != nil {
		t.Errorf("got secret %d and error %v, want the third", which, err)
	}
}

func TestOnlyTheNamedCharactersArePercentDecoded(t *testing.T) {
	t.Parallel()
	encoded := "https://x.example/w?a=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B&b=%2f&c=%26%20%25%E2%82%AC%2525"
	decoded := "https://x.example/w?a=:/?@!$'()*,;&b=/&c=%26%20%25%E2%82%AC%2525"
	header := hubspot.Sign("secret", "POST", decoded, nil, docsAt)
	if _, err := hubspot.Verify([]string{"secret"}, "POST", encoded, nil, header, docsAt); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{strings.ReplaceAll(decoded, "%26", "&"), strings.ReplaceAll(decoded, "%25", "%")} {
		header := hubspot.Sign("secret", "POST", wrong, nil, docsAt)
		if _, err := hubspot.Verify([]string{"secret"}, "POST", encoded, nil, header, docsAt); err == nil {
			t.Errorf("%s passed for %s", wrong, encoded)
		}
	}
}
