package registry

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/semaphore"
)

var (
	errTooLarge = errors.New("body exceeds its bound")
	errNoBudget = errors.New("no memory budget left")
)

const (
	// firstRead is the buffer for a body of unknown length; maxFirstRead bounds
	// the one for a length that the server claims.
	firstRead    = 16 << 10
	maxFirstRead = 512 << 10
	// reservedPart is the part of the budget (a quarter) that one reader at a
	// time uses when the rest is taken. It also bounds one body.
	reservedPart = 4
)

// bodyReader reads whole bodies into memory. What is being read in the whole
// process stays within the budget (TRUST R1). It is charged for bytes as they
// arrive, so that a server which sends slowly holds little of it.
//
// Readers that each hold a part and wait for more would wait for each other.
// So nobody waits for the shared part: who finds it full waits, holding on, for
// the reserved one, whose owner can always finish.
type bodyReader struct {
	shared  *semaphore.Weighted
	reserve chan struct{} // holds one element while it is in use
	largest int64         // body
}

func newBodyReader(total int64) *bodyReader {
	largest := total / reservedPart
	return &bodyReader{shared: semaphore.NewWeighted(total - largest), reserve: make(chan struct{}, 1), largest: largest}
}

// charge is what one body holds of the budget.
type charge struct {
	reader   *bodyReader
	shared   int64
	reserved bool
}

// grow makes room for size bytes in all.
func (c *charge) grow(ctx context.Context, size int64) error {
	if c.reserved {
		return nil
	}
	if c.reader.shared.TryAcquire(size - c.shared) {
		c.shared = size
		return nil
	}
	select {
	case c.reader.reserve <- struct{}{}:
		c.reserved = true
		return nil
	case <-ctx.Done():
		return errNoBudget
	}
}

func (c *charge) release() {
	c.reader.shared.Release(c.shared)
	if c.reserved {
		<-c.reader.reserve
	}
}

// read returns a body of at most limit bytes. declared is the Content-Length,
// or negative.
func (b *bodyReader) read(ctx context.Context, body io.Reader, declared, limit int64) ([]byte, error) {
	limit = min(limit, b.largest-1)
	if declared > limit {
		return nil, errTooLarge
	}
	size := int64(firstRead)
	if declared >= 0 {
		size = min(declared, maxFirstRead) + 1 // one more, to see the end
	}
	size = min(size, limit+1)
	held := charge{reader: b}
	defer held.release()
	var buffer []byte
	for {
		if err := held.grow(ctx, size); err != nil {
			return nil, err
		}
		buffer = append(make([]byte, 0, size), buffer...)
		var err error
		if buffer, err = fill(buffer, body); err != nil {
			if errors.Is(err, io.EOF) {
				return buffer, nil
			}
			return nil, err
		}
		if int64(len(buffer)) > limit {
			return nil, errTooLarge
		}
		size = min(2*size, limit+1)
	}
}

// fill reads until the buffer is full or the body ends.
func fill(buffer []byte, body io.Reader) ([]byte, error) {
	for len(buffer) < cap(buffer) {
		n, err := body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err != nil {
			return buffer, err
		}
	}
	return buffer, nil
}
