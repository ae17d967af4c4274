package live

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// commits is a Firestore that only takes documents.
type commits struct {
	firestorepb.UnimplementedFirestoreServer
	got  chan *firestorepb.CommitRequest
	down bool
}

func (c *commits) Commit(_ context.Context, r *firestorepb.CommitRequest) (*firestorepb.CommitResponse, error) {
	if c.down {
		return nil, status.Error(codes.PermissionDenied, "no")
	}
	c.got <- r
	return &firestorepb.CommitResponse{}, nil
}

func opened(t *testing.T) (*commits, *writer) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &commits{got: make(chan *firestorepb.CommitRequest, 1)}
	server := grpc.NewServer()
	firestorepb.RegisterFirestoreServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	w, err := openWriter(t.Context(), "p", option.WithEndpoint(listener.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	return c, w
}

func TestADocumentIsWrittenWholeUnderItsName(t *testing.T) {
	t.Parallel()
	c, w := opened(t)
	n, word := 7, Cycle
	err := w.set(t.Context(), "tenants/t/progress/cycle-1", map[string]any{
		"text": "a", "word": word, "yes": true, "none": nil, "nothing": (*int)(nil), "number": 3, "pointer": &n, "share": 0.5,
		"at": time.Date(2026, 11, 30, 12, 0, 0, 5000, time.UTC), "list": []string{"a", "b"}, "steps": []map[string]any{{"step": int64(1)}},
		"map": map[string]int{"x": 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := <-c.got
	doc := r.GetWrites()[0].GetUpdate()
	if r.GetDatabase() != "projects/p/databases/(default)" || doc.GetName() != "projects/p/databases/(default)/documents/tenants/t/progress/cycle-1" ||
		len(r.GetWrites()) != 1 || r.GetWrites()[0].GetUpdateMask() != nil {
		t.Errorf("written: %v", r)
	}
	for name, want := range map[string]string{
		"text": `{"stringValue":"a"}`, "word": `{"stringValue":"cycle"}`, "yes": `{"booleanValue":true}`, "none": `{"nullValue":null}`,
		"nothing": `{"nullValue":null}`, "number": `{"integerValue":"3"}`, "pointer": `{"integerValue":"7"}`, "share": `{"doubleValue":0.5}`,
		"at": `{"timestampValue":"2026-11-30T12:00:00.000005Z"}`, "list": `{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":"b"}]}}`,
		"steps": `{"arrayValue":{"values":[{"mapValue":{"fields":{"step":{"integerValue":"1"}}}}]}}`, "map": `{"mapValue":{"fields":{"x":{"integerValue":"1"}}}}`,
	} {
		text, err := protojson.Marshal(doc.GetFields()[name])
		if got := strings.ReplaceAll(string(text), " ", ""); err != nil || got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestWhatCannotBeShownOrIsRefusedIsAnError(t *testing.T) {
	t.Parallel()
	c, w := opened(t)
	for name, document := range map[string]map[string]any{"a struct": {"x": struct{ A int }{1}}, "a map by numbers": {"x": map[int]string{}}} {
		if err := w.set(t.Context(), "d", document); err == nil || !strings.Contains(err.Error(), "x: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.down = true
	if err := w.set(t.Context(), "d", map[string]any{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("refused: %v", err)
	}
}
