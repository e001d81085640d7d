/** Words for made-up names: a friendly adjective, and the surname of somebody who built or understood machines. */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const ADJECTIVES = words(`
  able airy alert amber ample apt artful attentive awake balanced bold bonny brave bright brisk buoyant calm candid careful
  cheerful civil clear clever cosy crisp curious daring dapper deft diligent eager earnest easy elated fair fearless festive fine
  firm fluent fond frank fresh gallant gentle glad golden graceful grand hale handy happy hardy hearty helpful honest hopeful
  humble jolly jovial keen kind light lively loyal lucid lucky mellow merry mild mindful modest neat nimble noble open orderly
  patient peaceful placid plucky polite prompt proud quick quiet ready restful robust rosy sane secure serene sharp shining
  silent simple sincere smooth snug sober solid sound spry stable steady stoic sturdy subtle sunny sure swift tender thorough tidy
  tranquil true trusty upbeat useful valiant vivid warm wary watchful willing wise witty worthy zany zealous zesty
`);

export const SURNAMES = words(`
  abbe aiken allen ampere archimedes babbage backus baker bardeen bartik bell bernal blackwell bohr boole borg boyle brahe brattain
  burnell cantor carson cauchy cerf chandrasekhar church clarke codd conway copernicus curie dahl daimler darwin dijkstra dirac easley
  eckert edison einstein engelbart erdos euclid euler faraday feinler fermat fermi feynman floyd franklin galileo galois gauss germain
  goldberg goldstine gosling hamilton hamming hawking heaviside hertz hilbert hoare hollerith holberton hopper huffman hypatia
  iverson jacquard jennings johnson joliot karp kay keller kepler khorana kilby knuth kolmogorov kovalevskaya lamarr lamport landau
  leavitt leibniz liskov lovelace lumiere lynch maxwell mauchly mccarthy mcclintock meitner mendel mendeleev metcalfe minsky mirzakhani
  moore morse napier naur nash newton nightingale nobel noether noyce nygaard ohm pascal pasteur pauling perlis perlman poincare
  ptolemy raman ramanujan ritchie robinson roentgen rosen rubin sammet shannon shockley sinoussi snyder spence
  stonebraker sutherland swartz tarjan tesla tharp thompson torvalds turing varahamihira vaughan volhard volta wescoff wiener wiles wilkes
  williams wilson wing wirth wozniak wright wu yalow yonath zuse
`);
