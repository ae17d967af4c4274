package standardwebhook

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestASignatureIsThatOfTheSpecification(t *testing.T) {
	t.Parallel()
	// The example that the reference implementations are tested with.
	const secret, id, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := Sign(secret, id, time.Unix(1614265330, 0), []byte(body)); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
}

func TestOnlyWhatOneOfTheSecretsSignedInTimeIsValid(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	secret, old := NewSecret(), NewSecret()
	message := func(id string, at time.Time, signatures string) http.Header {
		h := http.Header{}
		h.Set(IDHeader, id)
		h.Set(TimestampHeader, strconv.FormatInt(at.Unix(), 10))
		h.Set(SignatureHeader, signatures)
		return h
	}
	body := []byte(`{"a":1}`)
	good := Sign(secret, "m1", now, body)
	for name, one := range map[string]struct {
		header http.Header
		body   string
		want   bool
	}{
		"as signed":               {message("m1", now, good), `{"a":1}`, true},
		"by the secret before":    {message("m1", now, Sign(old, "m1", now, body)), `{"a":1}`, true},
		"among others":            {message("m1", now, "v1,AAAA v2,xx "+good), `{"a":1}`, true},
		"another body":            {message("m1", now, good), `{"a":2}`, false},
		"another id":              {message("m2", now, good), `{"a":1}`, false},
		"another time":            {message("m1", now.Add(time.Second), good), `{"a":1}`, false},
		"a stranger's":            {message("m1", now, Sign(NewSecret(), "m1", now, body)), `{"a":1}`, false},
		"an empty secret's":       {message("m1", now, Sign("", "m1", now, body)), `{"a":1}`, false},
		"no signature":            {message("m1", now, ""), `{"a":1}`, false},
		"no id":                   {message("", now, Sign(secret, "", now, body)), `{"a":1}`, false},
		"five minutes old":        {message("m1", now.Add(-Tolerance), Sign(secret, "m1", now.Add(-Tolerance), body)), `{"a":1}`, true},
		"older than five minutes": {message("m1", now.Add(-Tolerance-time.Second), Sign(secret, "m1", now.Add(-Tolerance-time.Second), body)), `{"a":1}`, false},
		"further ahead":           {message("m1", now.Add(Tolerance+time.Second), Sign(secret, "m1", now.Add(Tolerance+time.Second), body)), `{"a":1}`, false},
	} {
		if got := Verify([]string{secret, "", old}, one.header, []byte(one.body), now); got != one.want {
			t.Errorf("%s: valid is %v, want %v", name, got, one.want)
		}
	}
}
