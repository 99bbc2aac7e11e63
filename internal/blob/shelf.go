package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"crypto/rand"

	"reqpm/internal/filelock"
)

// Logs in a Store, for machines that share no directory. A store's blobs do not grow, so:
//
//	NAME.parts/beat    a sign of life of the writer, put again and again
//	NAME.parts/OFFSET  what was written from that byte of the text on
//	NAME.gz            the whole log, once it is closed; the parts are then deleted
//
// Who reads a log that another machine writes asks for the next part again and again, once for all readers of his
// process. A reader in the writer's process, or on its machine, reads the writer's file and waits for
// nothing.
const (
	partsFolder = ".parts/"
	beatName    = "beat"
	offsetForm  = "%015d"

	// maxPart bounds a part; both sides hold one in memory.
	maxPart = 1 << 20
	// shipEvery is how long a line waits for more before it is sent: the least, what each part that a log has already
	// adds (a log of hours would have a hundred thousand), and the most.
	shipEvery, shipMore, shipMost = 200 * time.Millisecond, time.Millisecond, 2 * time.Second
	// closedEvery is how often a reader who finds no more asks whether the log was closed.
	closedEvery = time.Second
	// beatEvery is how often a writer without anything to say gives a sign of life, and deadAfter how long readers
	// wait for one, by their own clocks. forgottenAfter is when a log is dead by the store's clock: clocks differ by less.
	beatEvery, deadAfter, forgottenAfter = 15 * time.Second, time.Minute, time.Hour
	// sweepEvery is how often logs are looked for that could not be put into the store, and sweepAgain how often when there
	// was one.
	sweepEvery, sweepAgain = 5 * time.Minute, 5 * time.Second
	// closing is how long closing a log may wait for the store. The sweep tries again.
	closing = 30 * time.Second
)

// shelf is the store of logs.
type shelf struct {
	store Store
	ctx   context.Context // of everything that is asked of the store
	stop  context.CancelFunc
	swept sync.WaitGroup

	mu    sync.Mutex
	tails map[string]*tail // of running logs that are read here and written elsewhere

	left chan struct{} // a log could not be put into the store just now
}

// OpenStoreLogs opens the logs in a store, which nothing else should use. What is being written is in the directory dir
// too, and stays there until the store has it: closed logs that lie there are put into the store at the start and
// every few minutes. Lines reach readers in other processes within a second; what a machine that dies wrote in its last
// two seconds is lost to the others until its directory is opened again. A log whose writer died ends for its readers after a
// minute.
func OpenStoreLogs(store Store, dir string) (*Logs, error) {
	l, err := OpenLogs(dir)
	if err != nil {
		return nil, err
	}
	s := &shelf{store: store, tails: map[string]*tail{}, left: make(chan struct{}, 1)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	l.shelf = s
	s.swept.Go(func() {
		for {
			wait := sweepEvery
			if !l.sweep(s.ctx) {
				wait = sweepAgain
			}
			timer := time.NewTimer(wait)
			select {
			case <-s.ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			case <-s.left:
				timer.Reset(sweepAgain)
				select {
				case <-s.ctx.Done():
				case <-timer.C:
				}
				timer.Stop()
			}
		}
	})
	return l, nil
}

func (s *shelf) close() {
	s.stop()
	s.swept.Wait()
}

// sweep puts what nobody writes any more into the store. What fails is tried again the next time; false: something did.
func (l *Logs) sweep(ctx context.Context) bool {
	all := true
	for info, err := range listFiles(ctx, l.root, "") {
		if err != nil {
			return false
		}
		name := strings.TrimSuffix(info.Name, packedSuffix)
		l.mu.Lock()
		_, live := l.live[name]
		l.mu.Unlock()
		if !live {
			err := l.Finish(name)
			all = all && (err == nil || !errors.Is(err, ErrUnavailable))
		}
	}
	return all
}

// leave has the sweep look soon for a log that could not be put into the store.
func (s *shelf) leave() {
	select {
	case s.left <- struct{}{}:
	default: // it is going to
	}
}

// begin says that a log is being written.
func (s *shelf) begin(name string) error {
	for _, there := range []string{name + packedSuffix, name + partsFolder + beatName} {
		_, err := s.store.Stat(s.ctx, there)
		if err == nil {
			return ErrExists
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return s.beat(name)
}

func (s *shelf) beat(name string) error {
	_, err := s.store.Put(s.ctx, name+partsFolder+beatName, strings.NewReader(time.Now().UTC().Format(time.RFC3339Nano)))
	return err
}

// take has a compressed log of the directory in the store, and no longer in the directory.
func (s *shelf) take(root *os.Root, name string) error {
	ctx, cancel := context.WithTimeout(s.ctx, closing)
	defer cancel()
	f, err := root.Open(name + packedSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process has done it
	}
	if err != nil {
		return err
	}
	_, err = s.store.Put(ctx, name+packedSuffix, f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = errors.Join(s.removeParts(ctx, name), removeFile(root, name+packedSuffix))
	}
	return err
}

// finish compresses the parts of a log whose writer died elsewhere.
func (s *shelf) finish(root *os.Root, name string) error {
	if _, err := s.store.Stat(s.ctx, name+packedSuffix); !errors.Is(err, ErrNotFound) {
		return err
	}
	t := &tail{shelf: s, name: name}
	if err := t.find(); err != nil {
		return err
	}
	if !t.ended {
		return filelock.ErrHeld
	}
	tmp := path.Join(tmpDir, rand.Text())
	f, err := root.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		_ = root.Remove(tmp)
	}()
	for _, p := range t.parts {
		data, err := t.fetch(p.at)
		if err != nil {
			return err
		}
		if _, err := f.Write(data); err != nil {
			return err
		}
	}
	read, write := io.Pipe()
	go func() { write.CloseWithError(packText(write, io.NewSectionReader(f, 0, t.size))) }()
	_, err = s.store.Put(s.ctx, name+packedSuffix, read)
	_ = read.Close() // ends packing, if Put has failed
	if err != nil {
		return err
	}
	return s.removeParts(s.ctx, name)
}

func (s *shelf) removeParts(ctx context.Context, name string) error {
	for info, err := range s.store.List(ctx, name+partsFolder) {
		if err == nil {
			err = s.store.Delete(ctx, info.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) remove(name string) error {
	return errors.Join(s.store.Delete(s.ctx, name+packedSuffix), s.removeParts(s.ctx, name))
}

// list yields each log once, with all that it takes.
func (s *shelf) list(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		running := map[string]Info{}
		for info, err := range s.store.List(ctx, prefix) {
			if err != nil {
				yield(Info{}, err)
				return
			}
			if i := strings.LastIndex(info.Name, partsFolder); i > 0 && !strings.HasSuffix(info.Name, packedSuffix) {
				whole := running[info.Name[:i]]
				whole.Name = info.Name[:i]
				whole.Size += info.Size
				if info.Modified.After(whole.Modified) {
					whole.Modified = info.Modified
				}
				running[whole.Name] = whole
				continue
			}
			info.Name = strings.TrimSuffix(info.Name, packedSuffix)
			delete(running, info.Name) // closed just now, or its parts could not be deleted
			if !yield(info, nil) {
				return
			}
		}
		for _, info := range running {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// shipper sends what is written of a log.
type shipper struct {
	shelf *shelf
	w     *LogWriter
	sent  int64
	parts int
	end   chan struct{}
	ended chan struct{}
}

func (s *shelf) ship(w *LogWriter) *shipper {
	h := &shipper{shelf: s, w: w, end: make(chan struct{}), ended: make(chan struct{})}
	go h.run()
	return h
}

// stop ends sending: the log is to be closed.
func (h *shipper) stop() {
	close(h.end)
	<-h.ended
}

// run sends until it is stopped. What cannot be sent now is sent with the next.
func (h *shipper) run() {
	defer close(h.ended)
	beat := time.NewTimer(beatEvery)
	defer beat.Stop()
	for {
		changed := h.w.signal.wait()
		wait := min(shipEvery+time.Duration(h.parts)*shipMore, shipMost)
		if h.w.Size() > h.sent {
			changed = nil
		} else {
			wait = beatEvery
		}
		due := time.NewTimer(wait)
		var err error
		select {
		case <-h.end:
			due.Stop()
			return
		case <-h.shelf.ctx.Done():
			due.Stop()
			return
		case <-changed:
			due.Stop()
			continue
		case <-beat.C:
			err = h.shelf.beat(h.w.name)
			beat.Reset(beatEvery)
		case <-due.C:
			err = h.send()
		}
		due.Stop()
		if err == nil {
			continue
		}
		select {
		case <-h.end:
		case <-time.After(shipMost):
		}
	}
}

func (h *shipper) send() error {
	for size := h.w.Size(); h.sent < size; {
		n := min(size-h.sent, maxPart)
		name := h.w.name + partsFolder + fmt.Sprintf(offsetForm, h.sent)
		if _, err := h.shelf.store.Put(h.shelf.ctx, name, io.NewSectionReader(h.w.f, h.sent, n)); err != nil {
			return err
		}
		h.sent += n
		h.parts++
	}
	return nil
}

// shelved is a reader's view of a log that another process writes.
type shelved struct {
	*tail
	packed *packedReader // once it is closed
}

// open finds a log in the store.
func (s *shelf) open(name string) (text, error) {
	packed, err := s.openPacked(name)
	if !errors.Is(err, ErrNotFound) {
		return packed, err
	}
	s.mu.Lock()
	t := s.tails[name]
	if t == nil {
		t = &tail{shelf: s, name: name, signal: &signal{changed: make(chan struct{})}}
		s.tails[name] = t
	}
	t.readers++
	s.mu.Unlock()
	t.once.Do(func() { t.err = t.find() })
	if t.err == nil {
		return &shelved{tail: t}, nil
	}
	t.release()
	if errors.Is(t.err, ErrNotFound) {
		return s.openPacked(name) // closed meanwhile
	}
	return nil, t.err
}

func (s *shelf) openPacked(name string) (*packedReader, error) {
	o, err := s.store.Open(s.ctx, name+packedSuffix)
	if err != nil {
		return nil, err
	}
	packed, err := openPacked(o, o.Info().Size)
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return packed, nil
}

func (r *shelved) Close() error {
	r.release()
	if r.packed != nil {
		return r.packed.Close()
	}
	return nil
}

// whole opens the closed log, when it is.
func (r *shelved) whole() (*packedReader, error) {
	var err error
	if r.packed == nil && r.isClosed() {
		r.packed, err = r.shelf.openPacked(r.name)
	}
	return r.packed, err
}

func (r *shelved) Size() (int64, error) {
	if packed, err := r.whole(); err != nil || packed != nil {
		if err != nil {
			return 0, err
		}
		return packed.size, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size, nil
}

func (r *shelved) ReadAt(p []byte, at int64) (int, error) {
	packed, err := r.whole()
	if err == nil && packed == nil {
		var n int
		n, err = r.tail.readAt(p, at)
		if !errors.Is(err, ErrNotFound) {
			return n, err
		}
		// The parts are deleted when the log is whole.
		r.close()
		packed, err = r.whole()
	}
	if err != nil {
		return 0, err
	}
	return packed.ReadAt(p, at)
}

// tail is what this process knows of a log that another one writes.
type tail struct {
	shelf  *shelf
	name   string
	signal *signal
	once   sync.Once
	err    error // of once

	readers int // under shelf.mu

	asking sync.Mutex // one asks for all

	mu      sync.Mutex
	parts   []shelfPart
	size    int64
	recent  []shelfPart // with their text: what readers who follow read
	closed  bool
	ended   bool
	asked   time.Time
	looked  time.Time // whether it was closed
	sign    time.Time // when its last sign of life was seen, by our clock
	beat    time.Time // the store's time of the beat that was seen last
	beatAsk time.Time
}

type shelfPart struct {
	at, size int64
	text     []byte
}

const keepRecent = 4 // parts

func (t *tail) release() {
	t.shelf.mu.Lock()
	defer t.shelf.mu.Unlock()
	if t.readers--; t.readers == 0 && t.shelf.tails[t.name] == t {
		delete(t.shelf.tails, t.name)
	}
}

// find lists the parts there are: ErrNotFound.
func (t *tail) find() error {
	var newest time.Time
	found := 0
	for info, err := range t.shelf.store.List(t.shelf.ctx, t.name+partsFolder) {
		if err != nil {
			return err
		}
		found++
		if info.Modified.After(newest) {
			newest = info.Modified
		}
		if at, err := strconv.ParseInt(path.Base(info.Name), 10, 64); err == nil {
			t.parts = append(t.parts, shelfPart{at: at, size: info.Size})
		}
	}
	if found == 0 {
		return fmt.Errorf("%w: %s", ErrNotFound, t.name)
	}
	slices.SortFunc(t.parts, func(a, b shelfPart) int { return int(a.at - b.at) })
	for i, p := range t.parts {
		if p.at != t.size { // deleted already: the log is being closed
			t.parts = t.parts[:i]
			break
		}
		t.size += p.size
	}
	t.sign, t.ended = time.Now(), time.Since(newest) > forgottenAfter
	return nil
}

func (t *tail) changed() <-chan struct{} { return t.signal.wait() }

func (t *tail) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

func (t *tail) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.signal.tell()
}

// running asks for what is new, unless somebody has just done so.
func (t *tail) running() (bool, error) {
	over := func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.closed || t.ended
	}
	if over() || !t.asking.TryLock() {
		return !over(), nil
	}
	defer t.asking.Unlock()
	if time.Since(t.asked) < shipEvery { // only who asks writes it
		return true, nil
	}
	t.asked = time.Now()
	more, err := t.more()
	if err == nil && !more {
		err = t.signs()
	}
	if err != nil {
		return false, err
	}
	return !over(), nil
}

// more fetches the parts behind what is known.
func (t *tail) more() (any bool, err error) {
	for {
		text, err := t.fetch(t.size)
		if errors.Is(err, ErrNotFound) {
			return any, nil
		}
		if err != nil {
			return any, err
		}
		any = true
		t.mu.Lock()
		p := shelfPart{t.size, int64(len(text)), text}
		t.parts = append(t.parts, shelfPart{at: p.at, size: p.size})
		t.remember(p)
		t.size += p.size
		t.sign = time.Now()
		t.mu.Unlock()
		t.signal.tell()
	}
}

// remember keeps the text of a part for the other readers; t.mu is held.
func (t *tail) remember(p shelfPart) {
	t.recent = append(t.recent, p)
	if len(t.recent) > keepRecent {
		t.recent = append([]shelfPart{}, t.recent[1:]...)
	}
}

// signs looks whether the log was closed, and else whether its writer lives.
func (t *tail) signs() error {
	if time.Since(t.looked) < closedEvery {
		return nil
	}
	t.looked = time.Now()
	_, err := t.shelf.store.Stat(t.shelf.ctx, t.name+packedSuffix)
	if err == nil {
		t.close()
		return nil
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if time.Since(t.sign) < beatEvery || time.Since(t.beatAsk) < beatEvery {
		return nil
	}
	t.beatAsk = time.Now()
	beat, err := t.shelf.store.Stat(t.shelf.ctx, t.name+partsFolder+beatName)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !beat.Modified.Equal(t.beat) {
		t.beat, t.sign = beat.Modified, time.Now()
	}
	t.ended = time.Since(t.sign) > deadAfter
	return nil
}

func (t *tail) fetch(at int64) ([]byte, error) {
	o, err := t.shelf.store.Open(t.shelf.ctx, t.name+partsFolder+fmt.Sprintf(offsetForm, at))
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(io.LimitReader(o, maxPart))
}

func (t *tail) readAt(p []byte, at int64) (int, error) {
	t.mu.Lock()
	for _, r := range t.recent {
		if at >= r.at && at < r.at+r.size {
			defer t.mu.Unlock()
			return copy(p, r.text[at-r.at:]), nil
		}
	}
	i, found := slices.BinarySearchFunc(t.parts, at, func(p shelfPart, at int64) int {
		switch {
		case p.at+p.size <= at:
			return -1
		case p.at > at:
			return 1
		}
		return 0
	})
	if !found {
		defer t.mu.Unlock()
		return 0, io.EOF
	}
	part := t.parts[i]
	t.mu.Unlock()
	text, err := t.fetch(part.at)
	if err != nil {
		return 0, err
	}
	if int64(len(text)) != part.size {
		return 0, fmt.Errorf("the part at byte %d has %d bytes, and had %d: %w", part.at, len(text), part.size, ErrChanged)
	}
	part.text = text
	t.mu.Lock()
	t.remember(part)
	t.mu.Unlock()
	return copy(p, text[at-part.at:]), nil
}
