for (const head of document.querySelectorAll('.sortable thead th')) head.onclick = () => {
  const direction = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1, body = head.closest('table').tBodies[0];
  const value = row => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
  const number = text => text.trim() === '' ? NaN : Number(text);
  const order = (a, b) => isNaN(number(a)) || isNaN(number(b))
    ? isNaN(number(a)) - isNaN(number(b)) || direction * a.localeCompare(b) : direction * (number(a) - number(b));
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', direction === 1 ? 'ascending' : 'descending');
  body.append(...[...body.rows].sort((a, b) => order(value(a), value(b))));
};
for (const entry of document.querySelectorAll('.legend [data-run]')) {
  const show = on => {
    document.body.classList.toggle('choosing', on);
    for (const part of document.querySelectorAll('.run'))
      part.classList.toggle('chosen', on && entry.dataset.run.split(' ').includes(part.dataset.run));
  };
  entry.onmouseenter = () => show(true);
  entry.onmouseleave = () => show(false);
}
