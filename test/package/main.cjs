require('./program.cjs')
  .run(require('sage-queue'), __filename)
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
