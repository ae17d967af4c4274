package main

import (
	"context"
	"errors"
	"io"
)

func test(ctx context.Context, o options, out, log io.Writer) error {
	return errors.New("soon")
}
