namespace TraceDistill.Data.Shards;

/// <summary>The format of the <c>soft_targets</c> column in words, for the dataset card: enough to write a decoder from.</summary>
static class SoftTargetFormat
{
    public const string Text = """
        ## The format of `soft_targets`

        For every token the column has its k alternatives (ids exactly, logprobs in steps), the mass outside them, and which token was drawn.
        The error of a logprob is at most (1/√p + √(k+1))/1000 nats for p above 1/4096 of the best alternative's and 1/16 nat more
        below; decoded alternatives and tail sum to one. `token_ids` and `token_logprobs` hold the drawn tokens exactly.

        A value is the byte 1 (the version) and a range code. n, the number of tokens, is the length of `token_ids`; k stands in the metadata.

        **Decoder.** `code` is the next 4 bytes, big-endian; `range` = 2³² − 1. Up to four zero bytes are missing at the end.

        - `bits(n)`: unit = range >> n; v = min(code / unit, 2ⁿ − 1); code −= unit·v; range = unit; *refill*; result v.
        - *refill*: while range < 2²⁴: range = range << 8, code = code << 8 | next byte (0 past the end), both in 32 bits.
        - `nibble(m)`: model m is an array c[0…15] with c[i] = 2048·i at first, and c[16] = 32768 always. unit = range >> 15;
          p = min(code / unit, 32767); s is the largest symbol with c[s] ≤ p; code −= unit·c[s]; range = unit·(c[s+1] − c[s]); *refill*.
          Then the model learns s: c[i] += (target − c[i]) >> rate (rounded down), with target = 8·i for i ≤ s and 32768 − 8·(16 − i) for
          i > s; rate is 1 the first time a model is used, 2 the next 2 times, 3 the next 4, 4 the next 9, 5 the next 47, and 6 from then on. Result s.
        - `number(m)`: L = nibble(m); if L = 15, L += nibble(m + 1). If L ≤ 1 the result is L. Otherwise it is the number of L bits that
          begins with a one; the L − 1 others follow by `bits`: those above the lowest 16 first, then the lowest 16.
        - `relative(a, b, r)`: by nibble(a): 0 gives r + number(b); 1 gives r − number(b); 2 means absent.
        - `id()`: S is a list of ids, empty at first. j = number(67). If j = 0, a new id = number(69) is appended to S. Otherwise it is S[j − 1],
          which then changes places with S[(j − 1) / 2] (rounded down).

        **Rows**, one for each token, with the token before called b and the one before that a (−1 where there is none):

        1. Count: if nibble(0) = 0, c = k; otherwise c = k − number(1). Missing alternatives are at the end of the row.
        2. Steps, if c > 0: s₀ = 0; sᵢ = sᵢ₋₁ + number(13 + 2·(8·class + context)), class = 0 for i = 1, 1 for i = 2…4, 2 from 5 on;
           context = 0 where sᵢ₋₁ ≥ 1008, otherwise ⌊log₂(1024 − sᵢ₋₁)⌋ − 3. Then the tail = relative(7, 8, s of the last). If c = 0 the tail is 0.
        3. Ids: E is a copy of the ids of the last row whose b and a were the same (order 2), else of the last whose b was the same (order 1), else of
           the row before (order 0; empty for the first). For i = 0…c − 1: e = nibble(61 + 2·order + (0 if i = 0, else 1)); e < 15 takes E[e] out of E;
           15 means id().
        4. Drawn token: r = nibble(3), or nibble(4) if the same nibble of the row before was not 0. r < 14 is its rank; 14 means rank 14 + number(5);
           15 means outside the alternatives: its id is id(), its steps relative(10, 11, s of the last alternative, 0 if there is none).

        **Logprobs.** s steps below the best are g(s) nats: −2·ln(1 − s/1024) up to s = 1008, 2·ln 64 + (s − 1008)/8 beyond, and g(−s) = −g(s).
        With Z = Σ e^(−g(sᵢ)) + e^(−g(tail)) (no tail term where it is absent) an alternative has logprob −g(sᵢ) − ln Z, and so have the tail and the
        drawn token.

        """;
}
