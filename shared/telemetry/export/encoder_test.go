package export

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// encoder writes labels as name=value,name=value, by name.
type encoder struct{}

func (encoder) Encode(all attribute.Iterator) string {
	var parts []string
	for all.Next() {
		one := all.Attribute()
		parts = append(parts, string(one.Key)+"="+one.Value.AsString())
	}
	return strings.Join(parts, ",")
}

func (encoder) ID() attribute.EncoderID { return attribute.EncoderID{} }
