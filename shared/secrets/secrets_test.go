package secrets

import (
	"context"
	"errors"
	"hash/crc32"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/infra/testkit/meter"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

const name = "projects/p/secrets/s"

func TestASecretIsReadOnceAMinute(t *testing.T) {
	t.Parallel()
	v, s := open(t)
	now := time.Now()
	s.now = func() time.Time { return now }
	for range 3 {
		if got := get(t, s, name); got != "one" {
			t.Errorf("read %q", got)
		}
	}
	now = now.Add(59 * time.Second)
	get(t, s, name+"/versions/latest")
	if n := v.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestACallOfSecretManagerIsMeasured(t *testing.T) {
	t.Parallel()
	meter.Start(t)
	_, s := open(t)
	if _, err := s.Get(telemetry.WithFunction(t.Context(), "measured"), name); err != nil {
		t.Fatal(err)
	}
	if n := meter.Value(t, "gv_call_duration_seconds", "function=measured", "service=secretmanager", "class=2xx"); n != 1 {
		t.Errorf("%v calls are measured", n)
	}
}

func TestARotationIsSeenWithinAMinute(t *testing.T) {
	t.Parallel()
	v, s := open(t)
	now := time.Now()
	s.now = func() time.Time { return now }
	get(t, s, name)
	v.set("two")
	now = now.Add(time.Minute)
	if got := get(t, s, name); got != "two" {
		t.Errorf("after a minute: %q", got)
	}
}

func TestACredentialThatWasRefusedIsReadAnew(t *testing.T) {
	t.Parallel()
	v, s := open(t)
	get(t, s, name)
	v.set("two")
	s.Forget(name)
	if got := get(t, s, name); got != "two" {
		t.Errorf("read %q", got)
	}
	s.Forget("projects/p/secrets/never-read")
}

func TestAVersionThatIsNamedIsRead(t *testing.T) {
	t.Parallel()
	v, s := open(t)
	get(t, s, name)
	get(t, s, name+"/versions/5")
	if v.calls.Load() != 2 || v.last.Load() != name+"/versions/5" {
		t.Errorf("asked for %v", v.last.Load())
	}
}

func TestWhatCannotBeReadIsUnavailableAndNotKept(t *testing.T) {
	t.Parallel()
	v, s := open(t)
	for _, code := range []codes.Code{codes.NotFound, codes.PermissionDenied} {
		v.fail.Store(int64(code))
		_, err := s.Get(t.Context(), name)
		var mine *Error
		if fault.Of(err) != fault.Unavailable || !errors.As(err, &mine) || !strings.HasPrefix(mine.Name, name) {
			t.Errorf("%v: %v", code, err)
		}
	}
	v.fail.Store(0)
	if got := get(t, s, name); got != "one" {
		t.Errorf("then: %q", got)
	}
}

func TestASecretThatArrivesBrokenIsRefusedAndNeverQuoted(t *testing.T) {
	t.Parallel()
	v, s := open(t)
	v.set("hunter2")
	v.broken.Store(true)
	if _, err := s.Get(t.Context(), name); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatIsNotThereIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := New(Insecure("127.0.0.1:1")...).Get(ctx, name); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestAStoreIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	_, s := open(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%5 == 0 {
				s.Forget(name)
			}
			if got, err := s.Get(t.Context(), name); err != nil || got != "one" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
}

// vault is Secret Manager with one secret.
type vault struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	mu     sync.Mutex
	value  string
	calls  atomic.Int64
	fail   atomic.Int64
	broken atomic.Bool
	last   atomic.Value
}

func (v *vault) set(value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.value = value
}

func (v *vault) AccessSecretVersion(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls.Add(1)
	v.last.Store(r.GetName())
	if code := codes.Code(v.fail.Load()); code != codes.OK {
		return nil, status.Error(code, "refused")
	}
	sum := int64(crc32.Checksum([]byte(v.value), crc32.MakeTable(crc32.Castagnoli)))
	if v.broken.Load() {
		sum++
	}
	return &secretmanagerpb.AccessSecretVersionResponse{Payload: &secretmanagerpb.SecretPayload{Data: []byte(v.value), DataCrc32C: &sum}}, nil
}

func open(t *testing.T) (*vault, *Store) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &vault{value: "one"}
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, v)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return v, New(Insecure(listener.Addr().String())...)
}

func get(t *testing.T, s *Store, name string) string {
	t.Helper()
	got, err := s.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
