package proc

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestHead: the beginning is kept, the rest is taken and dropped, and copying to it is bounded, too.
func TestHead(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc": "abc", "abcd": "abcd", "abcdef": "abcd"} {
		for name, write := range map[string]func(h *Head) (int64, error){
			"written": func(h *Head) (int64, error) { n, err := h.Write([]byte(text)); return int64(n), err },
			"copied":  func(h *Head) (int64, error) { return io.Copy(h, bytes.NewBufferString(text)) },
			"copied in pairs": func(h *Head) (int64, error) {
				return io.CopyBuffer(h, io.LimitReader(strings.NewReader(text), 99), make([]byte, 2))
			},
		} {
			h := &Head{Max: 4}
			if n, err := write(h); err != nil || n != int64(len(text)) || h.String() != want || string(h.Bytes()) != want || h.Cut() != (text != want) {
				t.Errorf("%q %s: %d %v, kept %q, cut %v", text, name, n, err, h, h.Cut())
			}
		}
	}
}
