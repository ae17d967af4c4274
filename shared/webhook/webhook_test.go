package webhook

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// failure sends to a receiver that handles with h and returns what came of it.
func failure(t *testing.T, h http.HandlerFunc) *Failure { return failureWithin(t, time.Minute, h) }

// failureWithin is failure for a receiver that may take that long.
func failureWithin(t *testing.T, deadline time.Duration, h http.HandlerFunc) *Failure {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return failed(t, New(Config{AllowLocal: true, Deadline: deadline}), server.URL)
}

func failed(t *testing.T, s *Sender, address string) *Failure {
	t.Helper()
	err := s.Send(t.Context(), Delivery{ID: "1", URL: address, Secrets: []string{"s"}, Body: []byte(`{}`)})
	if err == nil {
		return nil
	}
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no failure", err)
	}
	return f
}

func TestAMessageCarriesItsIDTimeAndASignatureOfEachSecret(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(server.Close)
	s := New(Config{AllowLocal: true})
	s.now = func() time.Time { return time.Unix(1790000000, 0) }
	err := s.Send(t.Context(), Delivery{ID: "m-1", URL: server.URL + "/hook?a=b", Secrets: []string{"new", "old"}, Body: []byte(`{"kind":"x"}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := Sign("new", "1790000000", []byte(`{"kind":"x"}`)) + "," + Sign("old", "1790000000", []byte(`{"kind":"x"}`))
	if got.Method != http.MethodPost || got.URL.String() != "/hook?a=b" || got.Header.Get(IDHeader) != "m-1" || got.Header.Get(TimestampHeader) != "1790000000" ||
		got.Header.Get(SignatureHeader) != want || got.Header.Get("Content-Type") != "application/json" || string(body) != `{"kind":"x"}` {
		t.Errorf("%s %s %v %s", got.Method, got.URL, got.Header, body)
	}
}

func TestASignatureIsWhatOpenSSLComputes(t *testing.T) {
	t.Parallel()
	const want = "v1=c3ae9f35f296288db47985fbb29a2c597e1f567dd04db4817f66efd085da1733"
	if got := Sign("new", "1790000000", []byte(`{"kind":"x"}`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOnly2xxIsTaken(t *testing.T) {
	t.Parallel()
	for status, taken := range map[int]bool{200: true, 202: true, 204: true, 400: false, 404: false, 410: false, 429: false, 500: false} {
		f := failure(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if (f == nil) != taken || f != nil && (f.Status != status || f.Gone() != (status == 410) || f.Final) {
			t.Errorf("%d: %+v", status, f)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	f := failure(t, func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if f == nil || f.Status != 307 || hits.Load() != 1 {
		t.Errorf("%+v after %d requests", f, hits.Load())
	}
}

func TestAReceiverThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	f := failureWithin(t, 300*time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	if f == nil || f.Status != 0 || !strings.Contains(f.Reason, "did not answer within 300ms") {
		t.Errorf("%+v", f)
	}
}

func TestAnAnswerWithoutEndIsNotRead(t *testing.T) {
	t.Parallel()
	f := failure(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	if f != nil {
		t.Errorf("%+v", f)
	}
	if f = failure(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }); f == nil {
		t.Error("headers of a megabyte are taken")
	}
}

func TestAddressesThatAreNotPublicAreNotDialled(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	s := New(Config{})
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "0.0.0.0", "[::]",
		"10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "[fe80::1%25lo]", "[fd00:ec2::254]", "[fc00::1]",
		"100.64.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1",
	} {
		f := failed(t, s, "https://"+host+port+"/")
		if f == nil || !f.Final || f.Reason != "the webhook's url must lead to an address on the public internet" {
			t.Errorf("%s: %+v", host, f)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests got through", hits.Load())
	}
	for _, ip := range []string{"8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "172.15.0.1", "172.32.0.1", "100.63.255.255", "169.253.0.1"} {
		if !s.admits(netip.MustParseAddr(ip)) {
			t.Errorf("%s is refused", ip)
		}
	}
}

// A name may lead to a public address when it is looked at and to a private one
// when it is dialled: only the address that is dialled counts.
func TestWhatANameLeadsToIsCheckedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	transport := s.transport
	dialer := &net.Dialer{Control: s.admit, Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no such server")
	}}}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "rebound.example:") {
			address = "127.0.0.1:1"
		}
		return dialer.DialContext(ctx, network, address)
	}
	if f := failed(t, s, "https://rebound.example/"); f == nil || !f.Final {
		t.Errorf("%+v", f)
	}
	nobody := new(Failure)
	if err := s.explain(t.Context(), &net.DNSError{IsNotFound: true}); !errors.As(err, &nobody) || nobody.Reason != "the webhook's url "+notPublic {
		t.Errorf("a name that nobody has: %v", err)
	}
	if f := failed(t, s, "https://nowhere.example/"); f == nil || f.Final || f.Reason != "the receiver cannot be reached" {
		t.Errorf("%+v", f)
	}
}

func TestAFailureTellsNothingOfTheAddress(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String() + "/hooks/hunter2?token=hunter2"
	listener.Close()
	f := failed(t, New(Config{AllowLocal: true}), address)
	if f == nil || f.Reason != "the receiver cannot be reached" || strings.Contains(f.Error(), "hunter2") {
		t.Errorf("%+v", f)
	}
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	if f = failed(t, New(Config{AllowLocal: true}), tls.URL); f == nil || f.Reason != "the receiver's certificate is not valid" {
		t.Errorf("%+v", f)
	}
}

func TestOnlyAWebAddressThatSaysNothingOfItsSenderIsTaken(t *testing.T) {
	t.Parallel()
	s, local := New(Config{}), New(Config{AllowLocal: true})
	for _, good := range []string{"https://example.com", "https://example.com:8443/a/b?c=d", "https://8.8.8.8/x", "https://[2606:4700::1]/"} {
		if rule := s.Check(good); rule != "" {
			t.Errorf("%s: %s", good, rule)
		}
	}
	for _, bad := range []string{
		"", "example.com", "http://example.com", "ftp://example.com", "https://", "https:///x", "https:example.com", "//example.com", "https://user@example.com",
		"https://example.com/#a", "https://example.com:0/", "https://example.com:99999/", "https://10.0.0.1/", "https://[::1]/", "https://exa mple.com/", "file:///etc/passwd", "https://127.0.0.1/",
	} {
		if s.Check(bad) == "" {
			t.Errorf("%q is taken", bad)
		}
	}
	if rule := local.Check("http://127.0.0.1:9000/x"); rule != "" {
		t.Error(rule)
	}
	if local.Check("http://10.0.0.1/x") == "" {
		t.Error("a private network is taken")
	}
}
