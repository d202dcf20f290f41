package imageref

import "strings"

// None of these functions allocates, and each takes time at most proportional
// to the product of the lengths of pattern and text: they remember only the
// latest star. That suffices, because giving an earlier star more cannot help
// what follows the later one.

// matchHost matches the names label by label and the ports apart. A "*" as the
// port is any, the default one included.
func matchHost(pattern, host string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == host
	}
	want, wantPort := cutPort(pattern)
	got, gotPort := cutPort(host)
	if wantPort != "*" && wantPort != gotPort || strings.HasPrefix(got, "[") {
		return false
	}
	for {
		wantLabel, wantRest, wantMore := strings.Cut(want, ".")
		gotLabel, gotRest, gotMore := strings.Cut(got, ".")
		if wantMore != gotMore || !matchRun(wantLabel, gotLabel) {
			return false
		}
		if !wantMore {
			return true
		}
		want, got = wantRest, gotRest
	}
}

// matchPath matches segment by segment; a segment "**" is any number of
// segments, none included.
func matchPath(pattern, path string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == path
	}
	p, n := 0, 0         // where the next segments begin; beyond the end: none is left
	retry, mark := -1, 0 // after the latest "**", and where it stops taking
	for n <= len(path) {
		segment, next := segmentAt(path, n)
		if p <= len(pattern) {
			want, after := segmentAt(pattern, p)
			if want == "**" {
				retry, mark, p = after, n, after
				continue
			}
			if matchRun(want, segment) {
				p, n = after, next
				continue
			}
		}
		if retry < 0 {
			return false
		}
		_, mark = segmentAt(path, mark)
		p, n = retry, mark
	}
	for p <= len(pattern) {
		want, after := segmentAt(pattern, p)
		if want != "**" {
			return false
		}
		p = after
	}
	return true
}

// segmentAt returns the segment that begins at i, and where the next begins.
func segmentAt(s string, i int) (segment string, next int) {
	end := strings.IndexByte(s[i:], '/')
	if end < 0 {
		return s[i:], len(s) + 1
	}
	return s[i : i+end], i + end + 1
}

// matchRun matches text with no further structure; each "*" is any run.
func matchRun(pattern, s string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == s
	}
	p, n := 0, 0
	retry, mark := -1, 0
	for n < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			retry, mark = p, n
		case p < len(pattern) && pattern[p] == s[n]:
			p++
			n++
		case retry >= 0:
			mark++
			p, n = retry, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
