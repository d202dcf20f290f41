package jmes_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/attest/jmes"
)

// refused is the want of an expression that must be an error.
const refused = "\x00refused"

// A sample is an expression and what it gives.
type sample struct {
	expression string
	want       any
}

type object = map[string]any

// vars is the document of the functions' samples.
func vars() map[string]any {
	return object{
		"s": "Hello", "n": 3, "f": 2.5, "t": true, "z": nil, "list": []any{"b", "a", "c"}, "numbers": []any{3, 1.5, 2},
		"mixed": []any{"a", 1}, "empty": []any{}, "o": object{"b": 2, "a": 1}, "people": []any{object{"n": "x", "age": 3}, object{"n": "y", "age": 7}},
		"labels": object{"app": "web", "tier": "front"}, "html": "<b>&",
	}
}

// kyvernoFunctions are those that Kyverno documents beside JMESPath's own.
var kyvernoFunctions = map[string][]sample{
	"compare":    {{`compare('a', 'b')`, -1}, {`compare('b', 'a')`, 1}, {`compare('a', 'a')`, 0}, {"compare('a', `1`)", refused}},
	"equal_fold": {{`equal_fold('Go', 'GO')`, true}, {`equal_fold('a', 'b')`, false}, {`equal_fold(s, n)`, refused}},
	"replace": {
		{"replace('aaaa', 'a', 'b', `2`)", "bbaa"}, {"replace('aaaa', 'a', 'b', `-1`)", "bbbb"}, {"replace('aaaa', 'a', 'b', `0`)", "aaaa"},
		{"replace('aaaa', 'a', 'b', `1.5`)", refused}, {`replace(n, 'a', 'b', n)`, refused},
	},
	"replace_all": {{`replace_all('a-b-c', '-', '')`, "abc"}, {`replace_all('ab', '', '-')`, "-a-b-"}, {`replace_all('a', 'b')`, refused}},
	"to_upper":    {{`to_upper('abc')`, "ABC"}, {`to_upper(n)`, refused}},
	"to_lower":    {{`to_lower('ABC')`, "abc"}, {`to_lower(list)`, refused}},
	"trim":        {{`trim('¡¡¡Hello!!!', '!¡')`, "Hello"}, {`trim(' a ', ' ')`, "a"}, {`trim('a')`, refused}},
	"trim_prefix": {{`trim_prefix('v1.2', 'v')`, "1.2"}, {`trim_prefix('1.2', 'v')`, "1.2"}, {`trim_prefix(z, 'v')`, refused}},
	"split": {
		{`split('a,b', ',')`, []any{"a", "b"}}, {`split('a', ',')`, []any{"a"}}, {`split('ab', '')`, []any{"a", "b"}}, {`split(list, ',')`, refused},
	},
	"regex_replace_all": {
		{`regex_replace_all('([0-9])([0-9])', 'abc12', '${2}-$1')`, "abc2-1"}, {"regex_replace_all('1', `121`, 'x')", "x2x"}, {`regex_replace_all('a(x*)b', '-ab-axxb-', 'T')`, "-T-T-"},
		{`regex_replace_all('x*', 'abc', '-')`, "-a-b-c-"}, {`regex_replace_all('[', 'a', 'b')`, refused}, {`regex_replace_all('a', t, 'b')`, refused},
	},
	"regex_replace_all_literal": {
		{`regex_replace_all_literal('a(x*)b', '-ab-axxb-', '$1')`, "-$1-$1-"}, {"regex_replace_all_literal('1', `11`, `2`)", "22"}, {`regex_replace_all_literal(s, list, s)`, refused},
	},
	"regex_match": {
		{`regex_match('^[a-z]+$', 'abc')`, true}, {`regex_match('^[a-z]+$', 'Abc')`, false}, {`regex_match('b', 'abc')`, true},
		{"regex_match('1.7', `127`)", true}, {`regex_match('(?!a)', 'b')`, refused}, {`regex_match('(abcdefghij){1000}', s)`, refused}, {`regex_match(z, s)`, refused},
	},
	"pattern_match": {
		{`pattern_match('prefix-*', 'prefix-foo')`, true}, {`pattern_match('prefix-*', 'foo')`, false}, {`pattern_match('?-?', 'a-b')`, true},
		{"pattern_match('12*', `123`)", true}, {`pattern_match('*', list)`, refused},
	},
	"label_match": {
		{"label_match(`{\"app\":\"web\"}`, labels)", true}, {"label_match(`{\"app\":\"db\"}`, labels)", false}, {"label_match(`{\"x\":\"web\"}`, labels)", false},
		{"label_match(`{\"x\":null}`, labels)", false}, {"label_match(`{}`, labels)", refused}, {`label_match(s, labels)`, refused},
	},
	"to_boolean": {{`to_boolean('TruE')`, true}, {`to_boolean('FALSE')`, false}, {`to_boolean('yes')`, refused}, {`to_boolean('')`, refused}, {`to_boolean(t)`, refused}},
	"add": {
		{"add(`1`, `2`)", 3}, {`add('12s', '13s')`, "25s"}, {`add('12Ki', '13Ki')`, "25Ki"}, {`add('1', '2')`, "3"}, {"add(`1`, '2s')", refused},
		{`add('12s', '13Ki')`, refused}, {`add('2562047h', '2562047h')`, refused}, {`add(t, n)`, refused}, {`add('x', n)`, refused}, {"add(`1e308`, `1e308`)", refused},
	},
	"sum": {
		{`sum(numbers)`, 6.5}, {"sum(`[\"1Ki\",\"1Ki\"]`)", "2Ki"}, {"sum(`[\"1s\",\"2s\"]`)", "3s"}, {`sum(empty)`, refused}, {`sum(mixed)`, refused}, {`sum(s)`, refused},
	},
	"subtract": {
		{"subtract(`3`, `7`)", -4}, {`subtract('12s', '13s')`, "-1s"}, {`subtract('12Ki', '13Ki')`, "-1Ki"}, {"subtract('12s', `1`)", refused}, {`subtract('-2562047h', '2562047h')`, refused},
	},
	"multiply": {
		{"multiply(`3`, `2.5`)", 7.5}, {"multiply('12s', `2`)", "24s"}, {"multiply(`2`, '12Ki')", "24Ki"}, {"multiply('12Ki', `2`)", "24Ki"},
		{`multiply('12s', '2s')`, refused}, {`multiply('1Ki', '1Ki')`, refused}, {"multiply('2562047h', `2`)", refused},
	},
	"divide": {
		{"divide(`25`, `2`)", 12.5}, {`divide('25s', '5s')`, 5}, {"divide('24s', `2`)", "12s"}, {`divide('24Ki', '12Ki')`, 2}, {"divide('24Ki', `2`)", "12Ki"},
		{"divide(`1`, `0`)", refused}, {`divide('1s', '0s')`, refused}, {`divide('1Ki', '0')`, refused}, {"divide(`1`, '1s')", refused},
	},
	"modulo": {
		{"modulo(`25`, `3`)", 1}, {`modulo('25s', '13s')`, "12s"}, {`modulo('25', '13')`, "12"}, {"modulo(`25`, `0`)", refused}, {"modulo(`2.5`, `2`)", refused},
		{`modulo('1s', '0s')`, refused}, {"modulo('25s', `3`)", refused},
	},
	"round": {
		{"round(`9.414675`, `2`)", 9.41}, {"round(`9.425`, `0`)", 9}, {"round(`1.5`, `99`)", 1.5}, {"round(`9.4`, `1.5`)", refused}, {"round(`9.4`, `-1`)", refused}, {`round(s, n)`, refused},
	},
	"base64_decode": {{`base64_decode('SGVsbG8=')`, "Hello"}, {`base64_decode('SGVsbG8')`, refused}, {`base64_decode('!')`, refused}},
	"base64_encode": {{`base64_encode('Hello')`, "SGVsbG8="}, {`base64_encode(n)`, refused}},
	"time_since": {
		{`time_since('', '2026-09-01T09:00:00Z', '')`, "1h0m0s"}, {`time_since('', '2021-01-02T15:04:05-07:00', '2021-01-10T03:14:05-07:00')`, "180h10m0s"},
		{`time_since('Mon Jan _2 15:04:05 MST 2006', 'Mon Jan 02 15:04:05 MST 2021', 'Mon Jan 10 03:14:16 MST 2021')`, "180h10m11s"},
		{`time_since('', '1026-01-01T00:00:00Z', '')`, refused}, {`time_since('', 'yesterday', '')`, refused},
	},
	"time_now":     {{`time_now()`, "2026-09-01T12:00:00+02:00"}, {`time_now(s)`, refused}},
	"time_now_utc": {{`time_now_utc()`, "2026-09-01T10:00:00Z"}},
	"path_canonicalize": {
		{`path_canonicalize('///')`, "/"}, {`path_canonicalize('///var/run/../lib//x/')`, "/var/lib/x"}, {`path_canonicalize('')`, ""}, {`path_canonicalize(n)`, refused},
	},
	"truncate": {
		{"truncate('Lorem', `3`)", "Lor"}, {"truncate('héllo', `2`)", "hé"}, {"truncate('Lorem', `9`)", "Lorem"}, {"truncate('Lorem', `-1`)", ""}, {"truncate('Lorem', `0`)", ""}, {`truncate(n, n)`, refused},
	},
	"semver_compare": {
		{`semver_compare('4.1.3', '>=4.1.x')`, true}, {`semver_compare('4.1.3', '!4.x.x')`, false}, {`semver_compare('1.0.0', '>1.0.0 || >=1.0.0')`, true},
		{`semver_compare('latest', '<99.0.0')`, refused}, {`semver_compare('1.0.0', 'x')`, refused}, {`semver_compare('1.0.0', '')`, refused},
	},
	"parse_json": {
		{`parse_json('{"a":[1,"b"]}')`, object{"a": []any{1, "b"}}}, {`parse_json('"x"')`, "x"}, {`parse_json('{"a":1,"a":2}')`, refused}, {`parse_json('{')`, refused},
	},
	"parse_yaml": {
		{"parse_yaml('a: [1, b]')", object{"a": []any{1, "b"}}}, {"parse_yaml('a: yes')", object{"a": true}}, {"parse_yaml('a: &x [1]\nb: *x')", object{"a": []any{1}, "b": []any{1}}},
		{"parse_yaml('a: 1\na: 2')", refused}, {"parse_yaml('a: [')", refused}, {"parse_yaml('a: &a [*a]')", refused},
	},
	"lookup": {
		{`lookup(o, 'a')`, 1}, {`lookup(o, 'x')`, nil}, {"lookup(list, `1`)", "a"}, {"lookup(list, `9`)", nil}, {"lookup(list, `-1`)", nil},
		{"lookup(list, `0.5`)", refused}, {`lookup(list, 'a')`, refused}, {`lookup(o, n)`, refused}, {`lookup(s, s)`, refused},
	},
	"items": {
		{`items(o, 'k', 'v')`, []any{object{"k": "a", "v": 1}, object{"k": "b", "v": 2}}}, {`items(empty, 'k', 'v')`, []any{}},
		{`items(list, 'k', 'v')[1]`, object{"k": 1, "v": "a"}}, {`items(o, 'k', 'v')[].k`, []any{"a", "b"}}, {`items(s, 'k', 'v')`, refused}, {`items(o, n, 'v')`, refused},
	},
	"object_from_lists": {
		{"object_from_lists(`[\"a\",\"b\"]`, `[1]`)", object{"a": 1, "b": nil}}, {"object_from_lists(`[1,true]`, `[2,3]`)", object{"1": 2, "true": 3}},
		{"object_from_lists(`[null]`, `[1]`)", refused}, {`object_from_lists(s, list)`, refused},
	},
	"random":       {{`random('[a-z]{5}')`, refused}},
	"x509_decode":  {{`x509_decode('x')`, refused}, {`x509_decode(n)`, refused}, {"x509_decode('-----BEGIN X-----\nAAAA\n-----END X-----\n')", refused}},
	"time_to_cron": {{`time_to_cron('2023-02-02T15:04:05Z')`, "4 15 2 2 4"}, {`time_to_cron('x')`, refused}},
	"time_add":     {{`time_add('2023-02-02T15:04:05Z', '3h')`, "2023-02-02T18:04:05Z"}, {`time_add('2023-02-02T15:04:05Z', '-5s')`, "2023-02-02T15:04:00Z"}, {`time_add('x', '3h')`, refused}, {`time_add('2023-02-02T15:04:05Z', 'x')`, refused}},
	"time_parse": {
		{`time_parse('2006-01-02T15:04:05Z07:00', '2021-01-02T15:04:05-07:00')`, "2021-01-02T15:04:05-07:00"}, {`time_parse('1136239445', '1675265105')`, "2023-02-01T15:25:05Z"},
		{`time_parse('1136239445', 'x')`, refused}, {`time_parse('', '')`, refused}, {`time_parse('2006', 'x')`, refused},
	},
	"time_utc":      {{`time_utc('2021-01-02T15:04:05-07:00')`, "2021-01-02T22:04:05Z"}, {`time_utc('x')`, refused}},
	"time_diff":     {{`time_diff('2021-01-02T15:04:05-07:00', '2021-01-10T03:14:05-07:00')`, "180h10m0s"}, {`time_diff('0001-01-01T00:00:00Z', '2021-01-01T00:00:00Z')`, refused}},
	"time_before":   {{`time_before('2021-01-02T15:04:05Z', '2021-01-03T15:04:05Z')`, true}, {`time_before('2021-01-03T15:04:05Z', '2021-01-03T15:04:05Z')`, false}, {`time_before('x', '2021-01-03T15:04:05Z')`, refused}},
	"time_after":    {{`time_after('2021-01-04T15:04:05Z', '2021-01-03T15:04:05Z')`, true}, {`time_after('2021-01-03T15:04:05Z', '2021-01-03T15:04:05Z')`, false}, {`time_after(s, s)`, refused}},
	"time_between":  {{`time_between('2021-01-03T00:00:00Z', '2021-01-02T00:00:00Z', '2021-01-04T00:00:00Z')`, true}, {`time_between('2021-01-02T00:00:00Z', '2021-01-02T00:00:00Z', '2021-01-04T00:00:00Z')`, false}, {`time_between(s, s, s)`, refused}},
	"time_truncate": {{`time_truncate('2021-01-02T15:04:05Z', '1h')`, "2021-01-02T15:00:00Z"}, {`time_truncate('2021-01-02T15:04:05Z', 'x')`, refused}},
	"image_normalize": {
		{`image_normalize('nginx')`, "docker.io/nginx:latest"}, {`image_normalize('ghcr.io/a/b:v1')`, "ghcr.io/a/b:v1"}, {`image_normalize('localhost/x')`, "localhost/x:latest"},
		{`image_normalize('acme/app:v1@` + digest + `')`, "docker.io/acme/app@" + digest}, {`image_normalize('A B')`, refused}, {`image_normalize('')`, refused},
	},
	"is_external_url": {
		{`is_external_url('https://93.184.216.34/x')`, true}, {`is_external_url('http://10.0.0.8')`, false}, {`is_external_url('http://127.0.0.1:80')`, false}, {`is_external_url('http://[::1]')`, false},
		{`is_external_url('http://169.254.169.254/')`, false}, {`is_external_url('http://[::ffff:10.0.0.1]/')`, false}, {`is_external_url('http://localhost:80')`, false},
		{`is_external_url('https://example.com')`, refused}, {`is_external_url('http://0x7f.1/')`, refused}, {`is_external_url('%')`, refused},
	},
	"sha256": {{`sha256('abc')`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}, {`sha256(n)`, refused}},
	"sha1":   {{`sha1('abc')`, "a9993e364706816aba3e25717850c26c9cd0d89d"}, {`sha1(z)`, refused}},
	"md5":    {{`md5('abc')`, "900150983cd24fb0d6963f7d28e17f72"}, {`md5(list)`, refused}},
}

// standardFunctions are those of the JMESPath specification, but sum, which
// Kyverno replaces.
var standardFunctions = map[string][]sample{
	"abs":         {{"abs(`-1.5`)", 1.5}, {`abs(n)`, 3}, {`abs(s)`, refused}},
	"avg":         {{"avg(`[1,2,3]`)", 2}, {`avg(empty)`, refused}, {`avg(mixed)`, refused}},
	"ceil":        {{`ceil(f)`, 3}, {`ceil(s)`, refused}},
	"contains":    {{`contains(s, 'ell')`, true}, {`contains(list, 'a')`, true}, {`contains(list, 'x')`, false}, {`contains(s, n)`, false}, {`contains(people, people[0])`, true}, {`contains(n, n)`, refused}},
	"ends_with":   {{`ends_with(s, 'lo')`, true}, {`ends_with(s, n)`, refused}},
	"floor":       {{`floor(f)`, 2}, {`floor(list)`, refused}},
	"join":        {{`join(',', list)`, "b,a,c"}, {`join(',', empty)`, ""}, {`join(',', mixed)`, refused}},
	"keys":        {{`keys(o)`, []any{"a", "b"}}, {`keys(list)`, refused}},
	"length":      {{`length(s)`, 5}, {`length('é')`, 1}, {`length(list)`, 3}, {`length(o)`, 2}, {`length(n)`, refused}, {`length(z)`, refused}},
	"map":         {{`map(&age, people)`, []any{3, 7}}, {`map(&x, people)`, []any{nil, nil}}, {`map(age, people)`, refused}, {`map(&parse_json(n), people)`, refused}},
	"max":         {{`max(numbers)`, 3}, {`max(list)`, "c"}, {`max(empty)`, nil}, {`max(mixed)`, refused}},
	"max_by":      {{`max_by(people, &age).n`, "y"}, {`max_by(empty, &age)`, nil}, {`max_by(people, &x)`, refused}, {`max_by(people, 'age')`, refused}},
	"merge":       {{"merge(o, `{\"a\":9}`)", object{"a": 9, "b": 2}}, {`merge(o, list)`, refused}},
	"min":         {{`min(numbers)`, 1.5}, {`min(list)`, "a"}, {`min(mixed)`, refused}},
	"min_by":      {{`min_by(people, &age).n`, "x"}, {`min_by(people, &x)`, refused}},
	"not_null":    {{`not_null(z, o.missing, s)`, "Hello"}, {`not_null(z)`, nil}, {`not_null()`, refused}},
	"reverse":     {{`reverse(list)`, []any{"c", "a", "b"}}, {`reverse('aé')`, "éa"}, {`reverse(n)`, refused}},
	"sort":        {{`sort(list)`, []any{"a", "b", "c"}}, {`sort(numbers)`, []any{1.5, 2, 3}}, {`sort(mixed)`, refused}},
	"sort_by":     {{`sort_by(people, &n)[].age`, []any{3, 7}}, {`sort_by(people, &x)`, refused}},
	"starts_with": {{`starts_with(s, 'He')`, true}, {`starts_with(s, 'he')`, false}, {`starts_with(z, 'a')`, refused}},
	"to_array":    {{`to_array(s)`, []any{"Hello"}}, {`to_array(list)`, []any{"b", "a", "c"}}, {`to_array(z)`, []any{nil}}},
	"to_number":   {{`to_number('1.5')`, 1.5}, {`to_number('12')`, 12}, {`to_number('NaN')`, nil}, {`to_number('x')`, nil}, {`to_number(t)`, nil}},
	"to_string":   {{`to_string(s)`, "Hello"}, {`to_string(o)`, `{"a":1,"b":2}`}, {`to_string(z)`, "null"}, {`to_string(numbers)`, "[3,1.5,2]"}},
	"type":        {{`type(s)`, "string"}, {`type(n)`, "number"}, {`type(t)`, "boolean"}, {`type(z)`, "null"}, {`type(list)`, "array"}, {`type(o)`, "object"}},
	"values":      {{`values(o)`, []any{1, 2}}, {`values(s)`, refused}},
}

// resolve evaluates an expression over variables that are known.
func resolve(expression string, variables map[string]any) (any, error) {
	v, err := jmes.Substitute([]any{"{{ [" + expression + "] }}"}, variables, now)
	if err != nil {
		return nil, err
	}
	return v.([]any)[0].([]any)[0], nil
}

func TestFunctions(t *testing.T) {
	for _, table := range []map[string][]sample{kyvernoFunctions, standardFunctions} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			t.Run(name, func(t *testing.T) {
				for _, s := range table[name] {
					got, err := resolve(s.expression, vars())
					if s.want == refused {
						if err == nil {
							t.Errorf("%s: want an error, got %v", s.expression, got)
						}
						continue
					}
					if diff := cmp.Diff(plainNumbers(s.want), plainNumbers(got)); diff != "" || err != nil {
						t.Errorf("%s: -want +got\n%s%v", s.expression, diff, err)
					}
				}
			})
		}
	}
}

// plainNumbers makes all numbers float64.
func plainNumbers(v any) any {
	switch x := v.(type) {
	case int:
		return float64(x)
	case int64:
		return float64(x)
	case []any:
		list := []any{}
		for _, element := range x {
			list = append(list, plainNumbers(element))
		}
		return list
	case map[string]any:
		o := object{}
		for name, value := range x {
			o[name] = plainNumbers(value)
		}
		return o
	}
	return v
}

// TestExpressions holds the language around the functions.
func TestExpressions(t *testing.T) {
	for expression, want := range map[string]any{
		"list[0]": "b", "list[-1]": "c", "list[9]": nil, "list[-9]": nil, "s[0]": nil,
		"list[1:]": []any{"a", "c"}, "list[:-1]": []any{"b", "a"}, "list[::2]": []any{"b", "c"}, "list[::-1]": []any{"c", "a", "b"}, "list[-2:9]": []any{"a", "c"},
		"list[5:]": []any{}, "list[:-9]": []any{}, "list[9:0:-2]": []any{"c"}, "list[-9::-1]": []any{}, "list[:-9:-1]": []any{"c", "a", "b"}, "s[:1]": nil,
		"list[::9223372036854775807]": []any{"b"}, "list[::-9223372036854775807]": []any{"c"},
		"n > `2`": true, "n >= `3`": true, "n < f": false, "n <= f": false, "n == `3.0`": true, "n != `3`": false, "s > n": nil, "list == `[\"b\",\"a\",\"c\"]`": true,
		"z == o.missing": true, "o.a == `1` && o.b": 2, "z && s": nil, "z || s": "Hello", "!z": true, "!s": false, "!empty": true, "!(`{}`)": true,
		"o.*": []any{1, 2}, "list.*": nil, "people[*].age": []any{3, 7}, "people[?age > `3`].n": []any{"y"}, "people[].[n, age][]": []any{"x", 3, "y", 7},
		"people[].{who: n}": []any{object{"who": "x"}, object{"who": "y"}}, "people[].missing": []any{}, "o[]": nil, "z.[a]": nil, "z.{a: a}": nil, "people | [1].n": "y",
		"o.missing": nil, "s.a": nil, "z.a.b": nil, "`\"x\"`": "x", "'a\\'b'": "a'b",
	} {
		got, err := resolve(expression, vars())
		if diff := cmp.Diff(plainNumbers(want), plainNumbers(got)); diff != "" || err != nil {
			t.Errorf("%s: -want +got\n%s%v", expression, diff, err)
		}
	}
}

// TestEveryFunctionHasSamples compares what there is with what is tested.
func TestEveryFunctionHasSamples(t *testing.T) {
	const documented = 51
	if len(kyvernoFunctions) != documented {
		t.Errorf("want samples of the %d functions that are documented, got %d", documented, len(kyvernoFunctions))
	}
	want := slices.Sorted(maps.Keys(standardFunctions))
	for name := range kyvernoFunctions {
		if name != "random" {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	got := jmes.FunctionNames()
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions: -with samples +there are\n%s", diff)
	}
}

func TestX509Decode(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "acme"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), DNSNames: []string{"acme.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "acme"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	variables := object{
		"cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"csr":  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
		"cut":  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der[:50]})),
	}
	for expression, want := range map[string]any{
		`x509_decode(cert).Subject.CommonName`: "acme",
		`x509_decode(cert).DNSNames[0]`:        "acme.test",
		`x509_decode(cert).PublicKey.N`:        key.N.String(),
		`x509_decode(cert).PublicKey.E`:        float64(65537),
		`x509_decode(cert).NotBefore`:          "2026-09-01T10:00:00Z",
		`x509_decode(csr).Subject.CommonName`:  "acme",
		`x509_decode(cut)`:                     refused,
	} {
		got, err := resolve(expression, variables)
		if want == refused && err != nil {
			continue
		}
		if diff := cmp.Diff(want, plainNumbers(got)); diff != "" || err != nil {
			t.Errorf("%s: -want +got\n%s%v", expression, diff, err)
		}
	}
}

// TestR32TheTimeIsTheDecisions shows that functions of time see one clock, and
// none if there is none.
func TestR32TheTimeIsTheDecisions(t *testing.T) {
	c := compile(t, jmes.Test{Key: "{{ time_since('', built, '') }}", Operator: "LessThan", Value: "24h"})
	in := input(t, `{"built":"2026-08-31T11:00:00Z"}`)
	if err := c.Check(t.Context(), in); err != nil {
		t.Errorf("want a build of 23 hours ago to be younger than a day, got %v", err)
	}
	in.Now = now.AddDate(0, 0, 1)
	if got := reasonOf(c.Check(t.Context(), in)); got != isFalse {
		t.Errorf("want it to be too old a day later, got %q", got)
	}
	in.Now = in.Now.AddDate(-3000, 0, 0)
	if got := reasonOf(c.Check(t.Context(), in)); got != fails {
		t.Errorf("want spans that cannot be told to fail, got %q", got)
	}
	none := input(t, `{"built":"2026-08-31T11:00:00Z"}`)
	none.Now = time.Time{}
	if got := reasonOf(c.Check(t.Context(), none)); got != fails {
		t.Errorf("want no answer without a time, got %q", got)
	}
}

// TestR48RandomIsRefused shows that a decision cannot depend on chance.
func TestR48RandomIsRefused(t *testing.T) {
	_, err := jmes.Compile([]jmes.Block{{All: []jmes.Test{{Key: "{{ random('a|b') }}", Operator: "Equals", Value: "a"}}}}, jmes.Options{})
	if err == nil || !strings.Contains(err.Error(), "random") {
		t.Errorf("want random refused by its name, got %v", err)
	}
}

// TestUnknownNamesNameTheNearest shows what a typing error gives.
func TestUnknownNamesNameTheNearest(t *testing.T) {
	for given, nearest := range map[jmes.Test]string{
		{Key: "{{ to_uper(a) }}", Operator: "Equals", Value: "x"}:         `"to_upper"`,
		{Key: "{{ a[?lenght(@)] }}", Operator: "Equals", Value: "x"}:      `"length"`,
		{Key: "{{ a }}", Operator: "Equal ", Value: "x"}:                  `"Equals"`,
		{Key: "{{ a }}", Operator: "AllNotInn", Value: "x"}:               `"AllNotIn"`,
		{Key: "{{ lookup(a, '{{ b }}', c) }}", Operator: "In", Value: ""}: `lookup: expected 2 arguments, got 3`,
	} {
		_, err := jmes.Compile([]jmes.Block{{Any: []jmes.Test{given}}}, jmes.Options{})
		if err == nil || !strings.Contains(err.Error(), nearest) {
			t.Errorf("%v: want an error with %s, got %v", given, nearest, err)
		}
	}
}
