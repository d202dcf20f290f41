package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// Bounds on bodies.
const (
	// maxBody: etcd takes objects of at most 1.5 MiB, and a review holds two.
	// JSON escapes can double what protobuf stores, and a MiB is left for the
	// rest of the review.
	maxBody = 7 << 20
	// smallBody is what a request may take without asking: nearly every review
	// is below 64 KiB. With maxInFlight it bounds what small bodies hold.
	smallBody = 256 << 10
	// maxLargeBodies is how many bodies above smallBody are held at once.
	maxLargeBodies = 8
)

var (
	errBodyTooLarge = errors.New("expected a body of at most 7 MiB, got more")
	errBodyWait     = errors.New("expected room for a large body before the deadline, got none")
)

// bodyReader reads request bodies into buffers that are used again, and bounds
// how much memory all of them hold together.
type bodyReader struct {
	small sync.Pool // of *[]byte with capacity up to smallBody
	large chan struct{}
}

func newBodyReader() *bodyReader {
	return &bodyReader{
		small: sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }},
		large: make(chan struct{}, maxLargeBodies),
	}
}

// read returns the body and a function that gives back its memory, after which
// it must not be used. The function is never nil.
func (b *bodyReader) read(ctx context.Context, r *http.Request) ([]byte, func(), error) {
	if r.ContentLength > maxBody {
		return nil, func() {}, errBodyTooLarge
	}
	kept := b.small.Get().(*[]byte)
	body, err := fill((*kept)[:0], r.Body, smallBody)
	if cap(body) <= smallBody+1 {
		*kept = body
	}
	if err != nil || len(body) <= smallBody {
		return body, func() { b.small.Put(kept) }, err
	}
	defer b.small.Put(kept)
	select {
	case b.large <- struct{}{}:
	case <-ctx.Done():
		return nil, func() {}, errBodyWait
	}
	release := func() { <-b.large }
	body, err = fill(append(make([]byte, 0, max(r.ContentLength+1, 2*smallBody)), body...), r.Body, maxBody)
	if err == nil && len(body) > maxBody {
		err = errBodyTooLarge
	}
	return body, release, err
}

// fill appends what r has to b until it ends or b is longer than limit.
func fill(b []byte, r io.Reader, limit int) ([]byte, error) {
	for len(b) <= limit {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(2*cap(b), limit+1))
			copy(grown, b)
			b = grown
		}
		n, err := r.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}
