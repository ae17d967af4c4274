// Package settings reads a function's configuration from the environment, once,
// and reports everything that is wrong with it at once.
package settings

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"github.com/geminivideo/geminivideo/shared/secrets"
)

var secretName = regexp.MustCompile(`^projects/[^/]+/secrets/[^/]+(/versions/[^/]+)?$`)

// Load fills a T from the environment by its fields' env tags. A value that is
// a Secret Manager resource name is replaced by that secret. The error names
// every setting that is missing or malformed, never a value.
func Load[T any](ctx context.Context) (T, error) { return load[T](ctx, envconfig.OsLookuper()) }

func load[T any](ctx context.Context, env envconfig.Lookuper) (T, error) {
	var cfg T
	if err := fill(ctx, reflect.ValueOf(&cfg).Elem(), env); err != nil {
		return cfg, fmt.Errorf("settings: %w", err)
	}
	return cfg, nil
}

// fill processes field by field, because envconfig stops at the first error.
func fill(ctx context.Context, v reflect.Value, env envconfig.Lookuper) error {
	var errs []error
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag, tagged := field.Tag.Lookup("env")
		if !tagged {
			if field.Type.Kind() == reflect.Struct {
				errs = append(errs, fill(ctx, v.Field(i), env))
			}
			continue
		}
		one := reflect.New(reflect.StructOf([]reflect.StructField{{Name: field.Name, Type: field.Type, Tag: field.Tag}}))
		err := envconfig.ProcessWith(ctx, &envconfig.Config{
			Target: one.Interface(), Lookuper: env, Mutators: []envconfig.Mutator{envconfig.MutatorFunc(resolve)},
		})
		if err != nil {
			errs = append(errs, explain(name(tag), err))
			continue
		}
		v.Field(i).Set(one.Elem().Field(0))
	}
	return errors.Join(errs...)
}

// explain names the setting and what is wrong with it. A parser's own words
// would quote the value, which may be a secret.
func explain(name string, err error) error {
	var down *secrets.Error
	switch {
	case errors.Is(err, envconfig.ErrMissingRequired):
		return fmt.Errorf("%s is missing", name)
	case errors.As(err, &down):
		return fmt.Errorf("%s: %w", name, down)
	default:
		return fmt.Errorf("%s has the wrong form", name)
	}
}

func resolve(ctx context.Context, _, _, _, value string) (string, bool, error) {
	if !secretName.MatchString(value) {
		return value, false, nil
	}
	secret, err := secrets.Default().Get(ctx, value)
	return secret, false, err
}

func name(tag string) string {
	n, _, _ := strings.Cut(tag, ",")
	return n
}
