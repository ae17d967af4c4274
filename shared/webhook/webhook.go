// Package webhook posts signed messages to addresses that tenants name. It never
// reaches what only this deployment can reach: addresses are checked when they
// are dialled, after the name is resolved, and redirects are not followed.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/geminivideo/geminivideo/shared/standardwebhook"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Config is where messages may go.
type Config struct {
	// AllowLocal admits http and this machine's own addresses, for development.
	AllowLocal bool `env:"WEBHOOK_ALLOW_LOCAL, default=false"`
	// Deadline is how long a receiver may take to answer; 10 s unless set.
	Deadline time.Duration
}

// The headers of a message beside those of Standard Webhooks, which it carries too
// (shared/standardwebhook) and new receivers verify; these stay until the end of
// 2027. A receiver compares the signature with HMAC-SHA256,
// keyed with the webhook's secret, over the timestamp, a dot and the body; drops
// what is older than a few minutes; and drops an id that it has seen.
const (
	// IDHeader is the same in every delivery of one message.
	IDHeader = "X-Geminivideo-Id"
	// TimestampHeader is when the message was sent, in seconds since 1970.
	TimestampHeader = "X-Geminivideo-Timestamp"
	// SignatureHeader is "v1=" and the signature in hexadecimal digits; two of
	// them, with a comma between, while the secret is rotated.
	SignatureHeader = "X-Geminivideo-Signature"
)

// Delivery is one try to deliver a message.
type Delivery struct {
	ID      string
	URL     string
	Secrets []string // all sign; none may be empty
	Body    []byte   // JSON
}

// Failure is why a message was not taken. Its text is safe to show and to keep:
// it holds nothing of the address or of the answer but its status.
type Failure struct {
	// Status is the receiver's answer, 0 where there was none.
	Status int
	Reason string
	// Final failures do not come right by themselves: the address may not be used.
	Final bool
	Cause error
}

// Error says what happened, and the cause for the log.
func (f *Failure) Error() string {
	if f.Cause != nil {
		return f.Reason + ": " + f.Cause.Error()
	}
	return f.Reason
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Gone reports whether the receiver answered 410: it wants no more messages.
func (f *Failure) Gone() bool { return f.Status == http.StatusGone }

// Sender posts messages. It is safe for concurrent use.
type Sender struct {
	local     bool
	deadline  time.Duration
	client    *http.Client
	transport *http.Transport
	now       func() time.Time
}

const standardDeadline = 10 * time.Second

// New returns a sender.
func New(cfg Config) *Sender {
	s := &Sender{local: cfg.AllowLocal, deadline: cfg.Deadline, now: time.Now}
	if s.deadline <= 0 {
		s.deadline = standardDeadline
	}
	dialer := &net.Dialer{Timeout: s.deadline, Control: s.admit}
	s.transport = &http.Transport{
		DialContext:            dialer.DialContext,
		Proxy:                  nil, // a proxy would dial for us, unchecked
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 16 << 10,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
	s.client = &http.Client{
		Transport:     telemetry.Transport("webhook", s.transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// Check returns the rule that address breaks as a webhook's, "" where none.
// Where a name leads is only known when it is dialled.
func (s *Sender) Check(address string) (rule string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "must be a web address such as https://example.com/hooks"
	case u.Scheme != "https" && !(s.local && u.Scheme == "http"):
		return "must begin with https://"
	case u.User != nil:
		return "must not hold a name or a password: the signature says who sends"
	case u.Fragment != "":
		return "must not hold a fragment"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "must have a port from 1 to 65535"
		}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !s.admits(ip) {
		return notPublic
	}
	return ""
}

// notPublic is what is said of every address that is not called, whatever it is and
// whether something answers there: a tenant learns nothing of this deployment's network.
const notPublic = "must lead to an address on the public internet"

// Send posts d and returns nil once the receiver has answered 2xx. Any other end
// is a *Failure. Of the answer only the status is read.
func (s *Sender) Send(ctx context.Context, d Delivery) error {
	if rule := s.Check(d.URL); rule != "" {
		return &Failure{Reason: "the webhook's url " + rule, Final: true}
	}
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return &Failure{Reason: "the webhook's url is no web address", Final: true}
	}
	now := s.now()
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signatures, standard := make([]string, len(d.Secrets)), make([]string, len(d.Secrets))
	for i, secret := range d.Secrets {
		if secret == "" {
			return errors.New("a webhook's secret is empty")
		}
		signatures[i] = Sign(secret, timestamp, d.Body)
		standard[i] = standardwebhook.Sign(secret, d.ID, now, d.Body)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "geminivideo-webhook/1")
	r.Header.Set(IDHeader, d.ID)
	r.Header.Set(TimestampHeader, timestamp)
	r.Header.Set(SignatureHeader, strings.Join(signatures, ","))
	r.Header.Set(standardwebhook.IDHeader, d.ID)
	r.Header.Set(standardwebhook.TimestampHeader, timestamp)
	r.Header.Set(standardwebhook.SignatureHeader, strings.Join(standard, " "))
	answer, err := s.client.Do(r)
	if err != nil {
		return s.explain(ctx, err)
	}
	answer.Body.Close()
	switch status := answer.StatusCode; {
	case status/100 == 2:
		return nil
	case status/100 == 3:
		return &Failure{Status: status, Reason: fmt.Sprintf("the receiver answered %d: redirects are not followed", status)}
	default:
		return &Failure{Status: status, Reason: fmt.Sprintf("the receiver answered %d", status)}
	}
}

// Sign returns the signature of body at timestamp, as SignatureHeader has it.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// errForbidden is what dialling an address that must not be reached ends with.
var errForbidden = errors.New("the address is not a public one")

// admit is asked about every address right before it is connected to.
func (s *Sender) admit(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !s.admits(at.Addr()) {
		return errForbidden
	}
	return nil
}

// explain puts a failure into words that do not tell a tenant what this
// deployment's network looks like from within.
func (s *Sender) explain(ctx context.Context, err error) error {
	f := &Failure{Reason: "the receiver cannot be reached", Cause: withoutURL(err)}
	var (
		unknown     *net.DNSError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, errForbidden):
		f.Reason, f.Final = "the webhook's url "+notPublic, true
	case errors.Is(ctx.Err(), context.DeadlineExceeded), isTimeout(err):
		f.Reason = fmt.Sprintf("the receiver did not answer within %v", s.deadline)
	case errors.As(err, &unknown) && unknown.IsNotFound: // no difference to a name of the inside
		f.Reason = "the webhook's url " + notPublic
	case errors.As(err, &certificate):
		f.Reason = "the receiver's certificate is not valid"
	}
	return f
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// withoutURL keeps the address out of the log: its path or query is often a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
