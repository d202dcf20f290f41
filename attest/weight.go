package attest

import (
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// heavy reports whether a value can hold others.
func heavy(v ref.Val) bool {
	switch v.(type) {
	case traits.Lister, traits.Mapper, *types.Optional:
		return true
	}
	return false
}

// lesser is the weight of the lighter of two values, up to a bound, in a time
// that it bounds.
func lesser(a, b ref.Val, most int) int {
	const beginning, growth = 64, 4
	for limit := min(beginning, most); ; limit = min(growth*limit, most) {
		w := min(weight(a, limit), weight(b, limit))
		if w < limit || limit == most {
			return w
		}
	}
}

// weight counts the values that v consists of, and its text, up to a bound. A
// value that is there twice counts twice: comparing walks it twice.
func weight(v ref.Val, most int) int {
	left := most
	weigh(v, &left)
	return most - max(left, 0)
}

func weigh(v any, left *int) {
	if *left--; *left <= 0 {
		return
	}
	switch v := v.(type) {
	case []any:
		for i := 0; i < len(v) && *left > 0; i++ {
			weigh(v[i], left)
		}
	case []ref.Val:
		for i := 0; i < len(v) && *left > 0; i++ {
			weigh(v[i], left)
		}
	case map[string]any:
		for name, element := range v {
			*left -= len(name) / bytesPerStep
			if weigh(element, left); *left <= 0 {
				return
			}
		}
	case string:
		*left -= len(v) / bytesPerStep
	case types.String:
		*left -= len(v) / bytesPerStep
	case types.Bytes:
		*left -= len(v) / bytesPerStep
	case *types.Optional:
		if v.HasValue() {
			weigh(v.GetValue(), left)
		}
	case traits.Lister:
		weighList(v, left)
	case traits.Mapper:
		weighMap(v, left)
	}
}

func weighList(v traits.Lister, left *int) {
	switch native := v.Value().(type) {
	case []any, []ref.Val:
		weigh(native, left)
		return
	}
	for it := v.Iterator(); *left > 0 && it.HasNext() == types.True; {
		weigh(it.Next(), left)
	}
}

func weighMap(v traits.Mapper, left *int) {
	if native, is := v.Value().(map[string]any); is {
		weigh(native, left)
		return
	}
	for it := v.Iterator(); *left > 0 && it.HasNext() == types.True; {
		key := it.Next()
		weigh(key, left)
		weigh(v.Get(key), left)
	}
}
