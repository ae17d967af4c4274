package terraform_test

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"github.com/zclconf/go-cty/cty/gocty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"go.yaml.in/yaml/v3"
)

// functionsOfTerraform are those that the files call.
var functionsOfTerraform = map[string]function.Function{
	"alltrue": reduce(cty.Bool, cty.True, func(a, b cty.Value) cty.Value { return a.And(b) }),
	"can":     tryfunc.CanFunc, "ceil": stdlib.CeilFunc, "concat": stdlib.ConcatFunc,
	"contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "endswith": endsWith, "file": fileFunc, "flatten": stdlib.FlattenFunc,
	"floor": stdlib.FloorFunc, "format": stdlib.FormatFunc, "join": stdlib.JoinFunc, "keys": stdlib.KeysFunc, "length": lengthFunc,
	"lookup": stdlib.LookupFunc, "lower": stdlib.LowerFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc, "min": stdlib.MinFunc,
	"regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "replace": stdlib.ReplaceFunc, "setintersection": stdlib.SetIntersectionFunc,
	"setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc, "sort": stdlib.SortFunc, "split": stdlib.SplitFunc,
	"substr": stdlib.SubstrFunc, "sum": reduce(cty.Number, cty.Zero, func(a, b cty.Value) cty.Value { return a.Add(b) }),
	"tonumber": stdlib.MakeToFunc(cty.Number), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "trimsuffix": stdlib.TrimSuffixFunc,
	"values": stdlib.ValuesFunc, "yamldecode": yamlDecode, "jsonencode": stdlib.JSONEncodeFunc,
}

func reduce(kind cty.Type, from cty.Value, add func(a, b cty.Value) cty.Value) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(kind),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			sum := from
			for it := args[0].ElementIterator(); it.Next(); {
				_, v := it.Element()
				sum = add(sum, v)
			}
			return sum, nil
		},
	})
}

var endsWith = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "text", Type: cty.String}, {Name: "suffix", Type: cty.String}},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		return cty.BoolVal(strings.HasSuffix(args[0].AsString(), args[1].AsString())), nil
	},
})

var fileFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "path", Type: cty.String}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		text, err := os.ReadFile(args[0].AsString())
		return cty.StringVal(string(text)), err
	},
})

var lengthFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "of", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].Type() == cty.String {
			return gocty.ToCtyValue(len(args[0].AsString()), cty.Number)
		}
		return gocty.ToCtyValue(args[0].LengthInt(), cty.Number)
	},
})

var yamlDecode = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "text", Type: cty.String}},
	Type: func(args []cty.Value) (cty.Type, error) {
		v, err := decoded(args[0].AsString())
		return v.Type(), err
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return decoded(args[0].AsString()) },
})

func decoded(text string) (cty.Value, error) {
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		return cty.DynamicVal, err
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return cty.DynamicVal, err
	}
	kind, err := ctyjson.ImpliedType(raw)
	if err != nil {
		return cty.DynamicVal, err
	}
	return ctyjson.Unmarshal(raw, kind)
}
