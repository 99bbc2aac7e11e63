package proc

// Head keeps the first Max bytes of what a program writes and drops the rest: a program that says too much is no error of its own,
// and fills no memory. It has no buffer inside that others could see: whoever copies to a writer asks for its ReadFrom, and that of a
// bytes.Buffer knows of no limit. Like other writers of a program's output it is written to by one goroutine at a time.
type Head struct {
	Max  int
	text []byte
	cut  bool
}

// Write takes all of p, and keeps what there is room for.
func (h *Head) Write(p []byte) (int, error) {
	room := min(len(p), max(0, h.Max-len(h.text)))
	h.text = append(h.text, p[:room]...)
	h.cut = h.cut || room < len(p)
	return len(p), nil
}

// Bytes are what was kept. They are those of h, until more is written.
func (h *Head) Bytes() []byte { return h.text }

func (h *Head) String() string { return string(h.text) }

// Cut tells whether anything was dropped.
func (h *Head) Cut() bool { return h.cut }
