package kyverno

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestR19EveryFieldIsInATable: a field that the code reads and the table does
// not name, or the reverse, is found here, as are treatments that differ.
func TestR19EveryFieldIsInATable(t *testing.T) {
	tables := map[reflect.Type][]Field{}
	for _, s := range sections() {
		tables[s.of] = s.fields
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ.PkgPath() != reflect.TypeFor[spec]().PkgPath() || seen[typ] || typ == reflect.TypeFor[metadata]() {
			return
		}
		seen[typ] = true
		var names []string
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			at := slices.IndexFunc(tables[typ], func(row Field) bool { return row.Name == name })
			if at < 0 {
				t.Errorf("%s.%s is in no table", typ.Name(), name)
				continue
			}
			names = append(names, name)
			switch row := tables[typ][at]; f.Type {
			case reflect.TypeFor[refused]():
				if row.Treatment != Refused || row.Text == "" {
					t.Errorf("%s.%s is refused, and the table says %q: %q", typ.Name(), name, row.Treatment, row.Text)
				}
			case reflect.TypeFor[noted]():
				if row.Treatment != Note || row.Text == "" {
					t.Errorf("%s.%s is noted, and the table says %q: %q", typ.Name(), name, row.Treatment, row.Text)
				}
			case reflect.TypeFor[ignored]():
				if row.Text == "" {
					t.Errorf("%s.%s has no effect, and the table does not say why", typ.Name(), name)
				}
			default:
				walk(f.Type)
			}
		}
		for _, row := range tables[typ] {
			if !slices.Contains(names, row.Name) {
				t.Errorf("the table of %s has %s, which nothing reads", typ.Name(), row.Name)
			}
		}
	}
	walk(reflect.TypeFor[policyDocument]())
	if len(seen) != len(tables) {
		t.Errorf("got %d tables for %d types", len(tables), len(seen))
	}
}
