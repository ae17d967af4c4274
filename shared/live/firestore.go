package live

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/geminivideo/geminivideo/shared/telemetry/rpc"
)

// writer writes whole documents through Firestore's own API: the library around it reads,
// listens and runs transactions, and links 2 MB for that.
type writer struct {
	client   *firestore.Client
	database string
	emulated bool
}

// openWriter makes a client of the project's Firestore, or of the emulator that
// FIRESTORE_EMULATOR_HOST names. opts are for a test's server.
func openWriter(ctx context.Context, project string, opts ...option.ClientOption) (*writer, error) {
	w := &writer{database: "projects/" + project + "/databases/(default)"}
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		w.emulated = true
		opts = append(opts, option.WithEndpoint(host), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	var err error
	w.client, err = firestore.NewClient(ctx, append(opts, rpc.Measured("firestore"))...)
	return w, err
}

func (w *writer) set(ctx context.Context, path string, document map[string]any) error {
	fields, err := fieldsOf(reflect.ValueOf(document))
	if err != nil {
		return fmt.Errorf("document %s: %w", path, err)
	}
	if w.emulated { // as its owner, whom rules do not bind
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer owner")
	}
	_, err = w.client.Commit(ctx, &firestorepb.CommitRequest{Database: w.database, Writes: []*firestorepb.Write{{
		Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{Name: w.database + "/documents/" + path, Fields: fields}},
	}}})
	return err
}

// fieldsOf writes a map by text as Firestore's fields.
func fieldsOf(m reflect.Value) (map[string]*firestorepb.Value, error) {
	if m.Kind() != reflect.Map || m.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("a %s is no map by text", m.Type())
	}
	fields := make(map[string]*firestorepb.Value, m.Len())
	for all := m.MapRange(); all.Next(); {
		value, err := valueOf(all.Value())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", all.Key(), err)
		}
		fields[all.Key().String()] = value
	}
	return fields, nil
}

// valueOf writes a text, a number, a time, or a list or map of them, or a pointer to one.
func valueOf(v reflect.Value) (*firestorepb.Value, error) {
	if !v.IsValid() {
		return &firestorepb.Value{ValueType: &firestorepb.Value_NullValue{}}, nil
	}
	if at, ok := v.Interface().(time.Time); ok {
		return &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(at)}}, nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return valueOf(v.Elem()) // of nil, it is no value
	case reflect.String:
		return &firestorepb.Value{ValueType: &firestorepb.Value_StringValue{StringValue: v.String()}}, nil
	case reflect.Bool:
		return &firestorepb.Value{ValueType: &firestorepb.Value_BooleanValue{BooleanValue: v.Bool()}}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &firestorepb.Value{ValueType: &firestorepb.Value_IntegerValue{IntegerValue: v.Int()}}, nil
	case reflect.Float32, reflect.Float64:
		return &firestorepb.Value{ValueType: &firestorepb.Value_DoubleValue{DoubleValue: v.Float()}}, nil
	case reflect.Map:
		fields, err := fieldsOf(v)
		return &firestorepb.Value{ValueType: &firestorepb.Value_MapValue{MapValue: &firestorepb.MapValue{Fields: fields}}}, err
	case reflect.Slice, reflect.Array:
		list := &firestorepb.ArrayValue{Values: make([]*firestorepb.Value, v.Len())}
		for i := range list.Values {
			var err error
			if list.Values[i], err = valueOf(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return &firestorepb.Value{ValueType: &firestorepb.Value_ArrayValue{ArrayValue: list}}, nil
	default:
		return nil, fmt.Errorf("a %s cannot be shown", v.Type())
	}
}
